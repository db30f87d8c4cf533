"""Which elements belong to which group or sequence: the layouts of merit_groups."""


def spans(case, field="groups", prefix="groups", elements=None):
    """[(begin, end)] of each group; None for one that the operation refuses: it decreases, or leaves [0, elements].
    Elements of a group are index[begin:end] where there is an index, else begin to end themselves. Uniform groups: as
    many as the layout says, else as fill the elements."""
    layout = case.desc.get(field, {})
    offsets = case.inputs.get(prefix + ".offsets")
    if offsets is None:
        size = layout["group_size"]
        stride = layout.get("group_stride") or size
        count = layout["num_groups"] if "num_groups" in layout else elements // stride
        return [(g * stride, g * stride + size) for g in range(count)]
    limit = elements
    if prefix + ".index" in case.inputs:
        limit = len(case.inputs[prefix + ".index"])
    count = layout.get("num_groups") or len(offsets) - 1
    pairs = [(offsets[g], offsets[g + 1]) for g in range(count)]
    return [p if 0 <= p[0] <= p[1] <= limit else None for p in pairs]
