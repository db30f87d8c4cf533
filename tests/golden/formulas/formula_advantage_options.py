"""advantage_group: defaults and presets as the reference states them, stack by stack."""
import math
import types

from formula_values import rounded

INF, NAN = math.inf, math.nan

DEFAULTS = {"groups": {}, "num_rows": None, "num_columns": None, "reward_row_stride": 0, "reward_column_stride": 1,
            "reward_dtype": "f32", "advantage_dtype": "f32", "baseline_dtype": "f32", "columns": "combine_first",
            "transform": "none", "rank_ties": "min", "temperature": 1.0, "center": "mean", "center_level": "group",
            "scale": "std", "scale_level": "group", "ddof": 1, "eps": 1e-6, "eps_rule": "add", "zero_rule": "divide",
            "zero_threshold": 0.0, "singleton": "zero", "invalid": "propagate", "reward_low": -INF, "reward_high": INF,
            "map": "identity", "map_range": 1.0, "sign_tie": 0.0, "low": -INF, "high": INF, "gain": 1.0,
            "expected_size": 0, "batch_record": False}

BINARY32 = ("temperature", "reward_low", "reward_high", "map_range", "sign_tie", "low", "high", "gain")

CENTERED = {"scale": "none"}
RLOO = {"center": "leave_one_out", "scale": "none"}
TRL = {"eps": 1e-4, "invalid": "skip_nan"}
NEMO = {"center": "leave_one_out", "scale": "leave_one_out_std", "zero_rule": "unscaled"}
GPG = {"scale": "nonzero_share", "scale_level": "batch", "eps": 0.0, "singleton": "unit"}
AREAL = {"eps": 1e-5, "reward_low": -20.0, "reward_high": 20.0}

PRESETS = {
    "grpo": {}, "slime": {}, "par.grpo": {"eps": 1e-8},
    "dr_grpo": CENTERED, "prime": CENTERED, "oi.centered": CENTERED, "verpo": CENTERED, "harmo": CENTERED,
    "critique_grpo": CENTERED, "nemo.rf_pp": CENTERED,
    "orlhf.dr_grpo": {**CENTERED, "singleton": "nan"}, "orlhf.reinforce_baseline": {**CENTERED, "singleton": "nan"},
    "rloo": RLOO, "verl.rloo_vectorized": RLOO, "skyrl.rloo": RLOO,
    "trl.group": TRL, "trl.batch": {**TRL, "scale_level": "batch"}, "trl.none": {**TRL, "scale": "none"},
    "trl.rloo": {**TRL, **RLOO}, "trl.gdpo": {**TRL, "columns": "normalize_first"},
    "swift.grpo": TRL, "swift.rloo": {**TRL, "center": "leave_one_out"},
    "swift.gdpo": {**TRL, "eps": 1e-8, "columns": "normalize_first"},
    "verl.grpo": {"singleton": "unit"}, "verl.grpo_vectorized": {"singleton": "unit"}, "skyrl.grpo": {"singleton": "unit"},
    "verl.dr_grpo": {**CENTERED, "singleton": "raw"}, "verl.rf_pp_baseline": {**CENTERED, "singleton": "raw"},
    "verl.rloo": {**RLOO, "singleton": "raw"}, "verl.gdpo": {"singleton": "unit", "columns": "normalize_first"},
    "verl.passk": {"center": "runner_up", "singleton": "nan"},
    "verl.opo": {**CENTERED, "singleton": "raw"}, "opo": {**CENTERED, "singleton": "raw"}, "verl.gpg": GPG, "gpg": GPG,
    "orlhf.group_norm": {"eps": 1e-9, "singleton": "nan"}, "orlhf.rloo": {**RLOO, "singleton": "nan"},
    "nemo.grpo": NEMO, "nemo.grpo_all": {"zero_rule": "unscaled"}, "nemo.gdpo": {**NEMO, "columns": "normalize_first"},
    "roll": {"singleton": "nan"}, "roll.agentic": {"zero_rule": "zero", "zero_threshold": 1e-6},
    "areal": AREAL, "areal.loo": {**AREAL, "center": "leave_one_out", "scale": "rms", "singleton": "unit"},
    "oi.standard": {"ddof": 0, "eps": 1e-8}, "rlk": {"ddof": 0, "eps_rule": "floor"},
    "maxrl": {"scale": "mean", "eps": 0.0, "zero_rule": "zero"}, "skyrl.maxrl": {"scale": "mean", "singleton": "raw"},
    "remax": {"center": "baseline", "scale": "none"}, "rltf": CENTERED,
    "brpo": {**CENTERED, "map": "sign", "sign_tie": -1.0}, "arena_rl": {"transform": "rank"},
    "rational_rewards": {"ddof": 0, "eps": 1e-4, "map": "unit", "map_range": NAN},
    "jepo": {"center": "none", "scale": "none", "transform": "leave_one_out_lme"},
    "tilted": {"center": "none", "scale": "none", "transform": "softmax", "temperature": NAN}}


def options_of(case):
    values = case.options(DEFAULTS, PRESETS)
    if values["singleton"] != values["singleton"]:  # the word "nan" is read as a number
        values["singleton"] = "nan"
    values.update({name: rounded(values[name], "F32") for name in BINARY32})
    return types.SimpleNamespace(**values)
