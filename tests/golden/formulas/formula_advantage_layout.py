"""Rows of the groups of a call, and what the layout alone decides: refused groups, rows in none, counters."""
from formula_groups import spans


class Layout:
    """groups: rows of each, in order; None: refused. spoiled: rows that are NaN, of refused groups or in no group.
    sizes: positions of each group; None where the offsets do not say it."""

    def __init__(self, case, rows, limit):
        """limit: members that the options allow a group."""
        index = case.inputs.get("groups.index")
        offsets = case.inputs.get("groups.offsets")
        bound = case.desc.get("groups", {}).get("max_size", 0)
        pairs = spans(case, elements=rows)
        self.groups, self.sizes, self.spoiled = [], [], set()
        self.bad_offsets = self.bad_index = self.too_large = 0

        def rows_at(begin, end):
            found = [index[p] if index else p for p in range(begin, end)]
            return [row for row in found if 0 <= row < rows], sum(not 0 <= row < rows for row in found)

        for g, pair in enumerate(pairs):
            members, outside = rows_at(*pair) if pair else ([], 0)
            if pair is None:
                self.bad_offsets += 1
                if 0 <= offsets[g] <= rows < offsets[g + 1]:  # its known rows
                    members, outside = rows_at(offsets[g], rows)
            self.bad_index += outside
            size = pair[1] - pair[0] if pair else None
            large = pair is not None and (0 < bound < size or size > limit)
            self.too_large += large
            refused = pair is None or outside or large
            if refused:
                self.spoiled.update(members)
            self.groups.append(None if refused else members)
            self.sizes.append(size)
        if offsets:
            loose = [*range(min(offsets[0], rows)), *range(max(offsets[len(pairs)], 0), rows)]
        else:
            layout = case.desc["groups"]
            loose = range(len(pairs) * (layout.get("group_stride") or layout["group_size"]), rows)
        self.ungrouped = len(loose)
        for p in loose:
            row = index[p] if index else p
            if 0 <= row < rows:
                self.spoiled.add(row)
