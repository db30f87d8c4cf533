"""Inputs of the recorded cases of the score family: what merit computes for them today is pinned bit for bit."""
import random

from golden_file import Tensor

FOLDER = "."


def forward(golden, name, note, tokens, size, heads, desc=None, dtype="BF16", weight="F32", more=None):
    rng = random.Random("score " + name)
    tensors = {"in.hidden": Tensor(dtype, [[rng.gauss(0, 1) for _ in range(size)] for _ in range(tokens)]),
               "in.weight": Tensor(weight, [[rng.gauss(0, .1) for _ in range(size)] for _ in range(heads)])}
    for key, (kind, values) in (more or {}).items():
        tensors["in." + key] = Tensor(kind, values)
    golden.case(FOLDER, "bits_score_" + name, "score_forward",
                {"positions": "all", "num_tokens": tokens, **(desc or {})}, tensors, note)


def backward(golden, name, note, tokens, size, heads, desc=None, dtype="BF16", more=None):
    rng = random.Random("score backward " + name)
    tensors = {"in.hidden": Tensor(dtype, [[rng.gauss(0, 1) for _ in range(size)] for _ in range(tokens)]),
               "in.weight": Tensor("F32", [[rng.gauss(0, .1) for _ in range(size)] for _ in range(heads)]),
               "in.grad_scores": Tensor("F32", [[rng.gauss(0, 1) for _ in range(heads)] for _ in range(tokens)])}
    for key, (kind, values) in (more or {}).items():
        tensors["in." + key] = Tensor(kind, values)
    golden.case(FOLDER, "bits_score_backward_" + name, "score_backward",
                {"positions": "all", "num_tokens": tokens, **(desc or {})}, tensors, note)


def readouts(golden):
    rng = random.Random("score readouts")
    gauss = lambda rows, columns: [[rng.gauss(0, 2) for _ in range(columns)] for _ in range(rows)]  # noqa: E731
    both = lambda name, desc, tensors, more: (  # noqa: E731
        golden.case(FOLDER, f"bits_score_readout_{name}", "score_readout_forward", desc, tensors, name),
        golden.case(FOLDER, f"bits_score_readout_{name}_backward", "score_readout_backward", desc, {**tensors, **more},
                    name + ", gradients"))
    ones = Tensor("F32", [1.0, -.5, 2.0])
    both("linear", {"unit": True}, {"in.inputs": Tensor("F32", gauss(3, 300)), "in.direction": Tensor("F32", gauss(1, 300)[0])},
         {"in.grad_reward": ones})
    both("gate", {"kind": "gate", "temperature": 3.0}, {"in.inputs": Tensor("BF16", gauss(3, 19)),
         "in.gate_logits": Tensor("BF16", gauss(3, 19)), "in.transform": Tensor("F32", gauss(19, 19))}, {"in.grad_reward": ones})
    both("levels", {"kind": "levels", "num_columns": 9}, {"in.inputs": Tensor("F32", gauss(3, 9))},
         {"in.grad_mean": ones, "in.grad_variance": ones, "in.grad_entropy": ones})
    both("quantile", {"kind": "quantile", "sort": True, "num_attributes": 5, "alpha": .3, "num_columns": 95},
         {"in.inputs": Tensor("F32", gauss(3, 95))}, {"in.grad_mean": Tensor("F32", gauss(3, 5)),
         "in.grad_cvar": Tensor("F32", gauss(3, 5)), "in.grad_iqr": Tensor("F32", gauss(3, 5))})
    labels = [[rng.random() if rng.random() < .8 else float("nan") for _ in range(4)] for _ in range(2100)]
    for link in ("mse", "bce", "huber"):
        golden.case(FOLDER, "bits_score_regression_" + link, "score_regression", {"link": link, "reduction": "mean_head"},
                    {"in.scores": Tensor("F32", gauss(2100, 4)), "in.labels": Tensor("F32", labels)}, link)


def write(golden):
    backward(golden, "bf16", "bf16, heads behind an affine", 70, 45, 5,
             more={"post_std": ("F32", [.3, 1.7, 2, -1, 11])})
    backward(golden, "f32", "f32, dense rows", 40, 33, 2, {"grad_layout": "dense"}, dtype="F32")
    backward(golden, "tiles", "more than a tile of positions", 2100, 3, 1, dtype="F16")
    forward(golden, "bf16", "bf16, an odd size of more than a tile", 3, 2309, 2)
    forward(golden, "bf16_heads", "bf16 heads", 5, 300, 7, weight="BF16")
    forward(golden, "f16", "f16 and f16 heads", 4, 520, 3, dtype="F16", weight="F16")
    forward(golden, "f32", "f32 with bias and affine", 9, 257, 4, dtype="F32",
            more={"bias": ("F32", [.1, -.2, .3, .7]), "post_mean": ("F32", [.5, 1, 1.5, -2]),
                  "post_std": ("F32", [1.5, .1, 3, 7])})
    forward(golden, "routed", "routed heads", 6, 100, 3, {"routed": True}, more={"route": ("I32", [2, 1, 0, 0, 1, 2])})
    forward(golden, "partial", "tile sums of a shard", 2, 2100, 2, {"shard": "partial"})
    readouts(golden)
