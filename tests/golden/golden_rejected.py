"""advantage_group: calls that must be rejected, leaving every output alone."""
import math

from golden_file import Tensor

OP = "advantage_group"
FOLDER = "advantage_group/rejected"
ENUMS = ("reward_dtype", "advantage_dtype", "baseline_dtype", "columns", "transform", "rank_ties", "center",
         "center_level", "scale", "scale_level", "eps_rule", "zero_rule", "singleton", "invalid", "map")
PAIR = {"in.rewards": Tensor("F32", [0.0, 1.0, 2.0, 3.0])}
COLUMNS = {"in.rewards": Tensor("F32", [[0.0, 1.0], [2.0, 3.0]])}


def groups(size=2):
    return {"groups": {"group_size": size}}


def options():
    nan = math.nan
    for name in ENUMS:
        yield f"{name}_unknown", f"{name} outside its list", {name: 99}
        yield f"{name}_negative", f"{name} outside its list", {name: -1}
    yield "ddof_2", "ddof is 0 or 1", {"ddof": 2}
    yield "eps_negative", "eps is at least 0", {"eps": -1e-9}
    yield "eps_nan", "eps is a number", {"eps": nan}
    yield "zero_threshold_negative", "zero_threshold is at least 0", {"zero_threshold": -1.0}
    yield "zero_threshold_nan", "zero_threshold is a number", {"zero_threshold": nan}
    yield "temperature_zero", "temperature is above 0", {"temperature": 0.0}
    yield "temperature_nan", "temperature is a number", {"temperature": nan}
    yield "map_range_zero", "map_range is above 0", {"map_range": 0.0}
    yield "map_range_nan", "map_range is a number", {"map_range": nan}
    yield "low_above_high", "low is at most high", {"low": 1.0, "high": 0.0}
    yield "low_nan", "low is a number", {"low": nan}
    yield "reward_low_above_high", "reward_low is at most reward_high", {"reward_low": 1.0, "reward_high": 0.0}
    yield "reward_high_nan", "reward_high is a number", {"reward_high": nan}
    yield "gain_nan", "gain is a number", {"gain": nan}
    yield "sign_tie_nan", "sign_tie is a number", {"sign_tie": nan}
    yield "expected_size_negative", "expected_size is at least 0", {"expected_size": -1}
    for center in ("none", "leave_one_out", "runner_up", "baseline"):
        yield f"center_{center}_at_batch", "only the mean has a batch level", {"center": center, "center_level": "batch"}
    for scale in ("rms", "leave_one_out_std", "mean_abs", "none"):
        yield f"scale_{scale}_at_batch", "this scale is one of a group", {"scale": scale, "scale_level": "batch"}
    yield "nonzero_share_given", "moments do not carry it", {"scale": "nonzero_share", "scale_level": "given"}
    yield "given_without_moments", "GIVEN needs moments", {"scale_level": "given"}
    yield "baseline_missing", "BASELINE needs a baseline", {"center": "baseline", "scale": "none"}


def arrays():
    rows = Tensor("F32", [1.0] * 4)
    yield "weights_with_leave_one_out", "weights are those of a mean", {"center": "leave_one_out"}, {"in.weights": rows}
    yield "weights_at_batch", "weights are those of a group's mean", {"center_level": "batch"}, {"in.weights": rows}
    yield "two_baselines", "one baseline", {"center": "baseline"}, {
        "in.baseline": rows, "in.baseline_per_group": Tensor("F32", [1.0, 1.0])}
    yield "add_index_without_add", "an index into nothing", {}, {"in.add_index": Tensor("I32", [0, 1, 2, 3])}
    yield "add_too_short", "add without an index has a value for each row", {}, {"in.add": Tensor("F32", [1.0, 2.0, 3.0])}


def sizes():
    yield "group_size_negative", "group_size is at least 0", {"groups": {"group_size": -2, "num_groups": 2}}
    yield "num_groups_negative", "num_groups is at least 0", {"groups": {"group_size": 2, "num_groups": -1}}
    yield "groups_beyond_rows", "uniform groups lie in the rows", {"groups": {"group_size": 2, "num_groups": 3}}
    yield "stride_below_size", "groups do not overlap", {"groups": {"group_size": 2, "group_stride": 1, "num_groups": 2}}
    yield "max_size_negative", "max_size is at least 0", {"groups": {"group_size": 2, "max_size": -1}}
    yield "offsets_missing", "neither a size nor offsets", {"groups": {"num_groups": 2}}


def write(golden):
    def case(name, note, desc, tensors, status="invalid_argument", **more):
        golden.case(FOLDER, f"rejected_{name}", OP, desc, tensors, note, status=status, **more)

    for name, note, desc in options():
        case(name, note, {**groups(), **desc}, PAIR)
    for name, note, desc, tensors in arrays():
        case(name, note, {**groups(), **desc}, {**PAIR, **tensors})
    for name, note, desc in sizes():
        case(name, note, desc, PAIR)
    case("rewards_missing", "rewards is NULL", {"num_rows": 4, **groups()}, {})
    case("num_rows_negative", "num_rows is at least 0", {"num_rows": -1, "groups": {"group_size": 2, "num_groups": 2}}, {})
    case("no_columns", "num_columns is at least 1", groups(), {"in.rewards": Tensor("F32", [], [4, 0])})
    case("columns_1025", "at most 1024 columns together", groups(1), {"in.rewards": Tensor("BF16", [0.0] * 1025, [1, 1025])})
    case("column_weights_separate", "separate columns have no weights", {"columns": "separate", **groups()},
         {**COLUMNS, "in.column_weights": Tensor("F32", [1.0, 1.0])})
    case("batch_moments_unannounced", "batch_record asks for the workspace that batch_moments needs", groups(),
         {**PAIR, "out.batch_moments": Tensor("F64", [0.0] * 5)})
    for name, desc in (("rank", {"transform": "rank"}), ("loo_std", {"scale": "leave_one_out_std"}),
                       ("loo_lme", {"transform": "leave_one_out_lme"})):
        case(f"group_of_4097_{name}", "pairwise work stops at 4096 members", {**desc, **groups(4097)},
             {"in.rewards": Tensor("BF16", [0.0] * 4097)})
    case("tilted_without_temperature", "the preset leaves it to the caller", groups(), PAIR, preset="tilted")
    case("rational_rewards_without_range", "the preset leaves it to the caller", groups(), PAIR, preset="rational_rewards")
    case("workspace_too_small", "one byte less than asked for", {"scale_level": "batch", **groups()}, PAIR,
         status="workspace_too_small")
    # The one overlap that is allowed is advantages on rewards, element on element.
    advantages = {"out.advantages": Tensor("F32", [0.0] * 4)}
    case("keep_on_mask", "outputs overlap nothing", groups(),
         {**PAIR, "in.mask": Tensor("U8", [1] * 4), "out.keep": Tensor("U8", [0] * 4)}, alias={"keep": "mask"})
    case("in_place_indexed", "not with an index", {},
         {**PAIR, **advantages, "in.groups.offsets": Tensor("I64", [0, 2, 4]), "in.groups.index": Tensor("I32", [0, 2, 1, 3])},
         alias={"advantages": "rewards"})
    case("in_place_other_type", "not with another type", groups(),
         {**PAIR, "out.advantages": Tensor("F64", [0.0] * 4)}, alias={"advantages": "rewards"})
    case("in_place_columns", "not with columns that become one", groups(), {**COLUMNS, "out.advantages": Tensor("F32", [0.0] * 2)},
         alias={"advantages": "rewards"})
