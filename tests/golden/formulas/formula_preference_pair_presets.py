"""Options of preference_pair by the header, and what the published losses change of them."""
import math

NAN = math.nan  # the caller's to give

DEFAULTS = {
    "num_pairs": 0, "chosen_stride": 1, "rejected_stride": 1, "ref_chosen_stride": 1, "ref_rejected_stride": 1,
    "grad_chosen_stride": 1, "grad_rejected_stride": 1, "score_dtype": "f32", "link": "logistic", "link_param": 0.0,
    "beta": 1.0, "beta_map": "constant", "map_weight": 0.0, "map_rate": 0.0, "margin": 0.0, "opposite": "negate",
    "target": "chosen", "smoothing": 0.0, "smoothing_kind": "conservative", "tie_model": "half", "log_tie": 0.0,
    "pair_weight": 1.0, "unary_link": "logistic", "unary": [0.0] * 4, "unary_shift": 0.0, "unary_margin": 0.0,
    "center": 0.0, "num_routes": 1, "route_kind": "one", "reduction": "mean_valid", "skip_invalid": False,
    "calibration_bins": 0,
}
DPO = {"beta": .1}
ALONE = {"pair_weight": 0.0, "unary": [1.0, 0.0, 0.0, 1.0]}
SHIFTED = {**ALONE, "unary_shift": NAN}

PRESETS = {
    **{name: {} for name in ("bt", "trl.reward", "openrlhf.sigmoid", "openrlhf.logexp", "areal.rw", "rlhflow.bt")},
    "oni.soft": {"target": "probability"},
    "trl.reward_centered": {"center": .01}, "nemo.bt": {"beta": NAN, "reduction": "given"},
    "helpsteer2.regular": {"target": "outcome"}, "helpsteer2.scaled": {"target": "outcome"},
    "helpsteer2.margin": {"target": "outcome", "opposite": "swap"},
    "rao_kupper": {"target": "outcome", "tie_model": "rao_kupper", "log_tie": NAN},
    "davidson": {"target": "outcome", "tie_model": "davidson", "log_tie": NAN},
    **{name: DPO for name in ("dpo", "dpo_norm", "wpo", "aot")},
    "cdpo": {**DPO, "smoothing": NAN}, "rdpo": {**DPO, "smoothing": NAN, "smoothing_kind": "robust"},
    "mm_dpo": {**DPO, "beta_map": "margin_exp", "map_weight": .5, "map_rate": .5},
    "mah_dpo": {**DPO, "route_kind": "array"},
    "ipo": {"link": "squared", "margin": NAN, "opposite": "swap"},
    "slic": {"link": "hinge", "beta": NAN}, "simpo": {"beta": 2.0, "margin": NAN},
    "exo": {"link": "exo", "link_param": NAN}, "discopop": {"link": "discopop", "link_param": .05},
    "nca": {"pair_weight": 0.0, "unary": [1.0, .5, 0.0, .5]}, "bco": SHIFTED,
    "sppo_hard": {**ALONE, "unary_link": "squared", "unary_margin": NAN},
    "apo_zero": {**ALONE, "unary_link": "sigmoid"},
    "apo_down": {"link": "sigmoid", "unary_link": "sigmoid", "unary": [0.0, 1.0, 0.0, 0.0]},
    "kto": {**SHIFTED, "unary_link": "sigmoid"},
    "discriminator": ALONE, "discriminator_hinge": {**ALONE, "unary_link": "hinge"},
}
