"""group_index: rows in the order of their groups."""
DEFAULTS = {"num_rows": None, "num_groups": 0, "kind": "dense", "id_dtype": "i64"}


def groups_of(o, ids):
    """Group of each row, -1: none; and how many groups there are."""
    if o["kind"] == "dense":
        return [k if 0 <= k < o["num_groups"] else -1 for k in ids], o["num_groups"]
    if o["kind"] == "labels":
        place = {label: n for n, label in enumerate(sorted({k for k in ids if k >= 0}))}
        return [place.get(k, -1) for k in ids], len(place)
    found, last, count = [], None, 0  # runs; a row in no group ends one
    for k in ids:
        count += k >= 0 and k != last
        found.append(count - 1 if k >= 0 else -1)
        last = k
    return found, count


def results(case):
    o, ids = case.options(DEFAULTS, {}), case.inputs["ids"].values
    group_of, count = groups_of(o, ids)
    slots = o["num_groups"] if o["kind"] == "dense" else len(ids)
    sizes = [0] * slots
    for n in group_of:
        if n >= 0:
            sizes[n] += 1
    offsets = [0]
    for size in sizes:
        offsets.append(offsets[-1] + size)
    index = sorted(range(len(ids)), key=lambda i: group_of[i] if group_of[i] >= 0 else slots)  # keeps the order of rows
    beyond = sum(k >= o["num_groups"] for k in ids) if o["kind"] == "dense" else 0
    return {"offsets": offsets, "index": index, "group_of": group_of, "num_groups": [count], "max_size": [max(sizes, default=0)],
            "diagnostics.ungrouped": [sum(k < 0 for k in ids)], "diagnostics.bad_id": [beyond]}
