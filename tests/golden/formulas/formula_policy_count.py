"""policy_count: tokens under the mask, and sequences that have any."""
from formula_groups import spans

LEFT_OUT = {}


def results(case):
    mask = case.inputs["mask"]
    valid = [sum(mask[i] != 0 for i in range(*span)) for span in spans(case, "sequences", "sequences", len(mask)) if span]
    return {"counts": [sum(valid), sum(v > 0 for v in valid)]}
