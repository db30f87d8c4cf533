"""policy_count: tokens under the mask, and sequences that have any."""
from formula_policy import sequences


def results(case):
    layout, refused = sequences(case)
    valid = [len(sequence.tokens) for sequence in layout]
    return {"counts": [sum(valid), sum(v > 0 for v in valid)], **{"diagnostics." + name: [n] for name, n in refused.items()}}
