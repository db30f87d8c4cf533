"""Which elements belong to which group or sequence: the layouts of merit_groups."""


def spans(case, field="groups", prefix="groups", elements=None):
    """[(begin, end)] of each group; None for one that the operation refuses: it decreases, or leaves [0, elements].
    Elements of a group are index[begin:end] where there is an index, else begin to end themselves."""
    layout = case.desc.get(field, {})
    offsets = case.inputs.get(prefix + ".offsets")
    if offsets is None:
        size = layout["group_size"]
        return [(g * size, (g + 1) * size) for g in range(layout["num_groups"])]
    limit = elements
    if prefix + ".index" in case.inputs:
        limit = len(case.inputs[prefix + ".index"])
    count = layout.get("num_groups") or len(offsets) - 1
    pairs = [(offsets[g], offsets[g + 1]) for g in range(count)]
    return [p if 0 <= p[0] <= p[1] <= limit else None for p in pairs]
