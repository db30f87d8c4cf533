"""policy_loss: the loss over tokens, its gradients and statistics, as the header and the cited papers state them."""
import math

from formula_policy import (HALF, INF, NAN, U, added, denominator, expected, scale, sequences, tiles, times, total, word)
from formula_policy_loss_presets import DEFAULTS, PRESETS
from formula_policy_surrogate import NOTHING, Comparisons, Surrogate, between, bounds, clipped, diverged, divergence, exponential
from formula_values import Packed, Value, f32_options, rounded

COUNTS = ("tokens", "sequences", "nonempty_sequences", "clipped_low", "clipped_high", "capped", "dual_clipped", "log_clamped",
          "divergence_masked", "mismatch_truncated", "mismatch_masked", "rejected_tokens", "rejected_sequences", "nan_tokens")
SUMS = ("policy_loss", "kl_loss", "entropy_loss", "sum_ratio", "sum_ratio_squared", "sum_k1", "sum_k3", "sum_kl_ref",
        "sum_entropy", "sum_mismatch", "sum_abs_logprob_gap")
SOURCES = {"old_rollout": ("old", "rollout"), "current_old": ("lp", "old"),
           "current": ("lp", "rollout"), "old": ("old", "rollout")}


def difference(a, b):
    """Of log-probabilities, in binary32: 0 where they are equal."""
    return rounded(a - b, "F32")


def levelled(level, differences):
    """[(log-ratio, slack)] of the tokens of a sequence: their own, or the mean or sum of all, rounded once."""
    if level == "token" or not differences:
        return [(d, 0.0) for d in differences]
    whole, _ = total((d, 0.0) for d in differences)
    size = math.fsum(map(abs, differences)) if math.isfinite(whole) else 0.0
    n = len(differences) if level == "sequence_mean" else 1
    return [(whole / n, HALF * (size + abs(whole)) / n if whole else 0.0)] * len(differences)


class Token:
    """One valid token. Terms and derivatives are without a_t."""

    def __init__(self, t, at):
        self.t, self.at = t, at
        self.lp = at("logprob")
        self.old = at("old", self.lp)
        self.compare = Comparisons()
        self.events = set()

    def source(self, name):
        num, den = (self.at("rollout") if side == "rollout" else getattr(self, side) for side in SOURCES[name])
        return difference(num, den)

    def correct(self, o, mismatch, rejection):
        """w keep, and its slack."""
        self.W, weight, slack = None, 1.0, 0.0
        if mismatch is not None:
            m, e = mismatch
            self.W = W, slack = exponential(between(m, -20.0, 20.0), e)
            weight, low, high = W, o["mismatch_low"], o["mismatch_high"]
            outside = self.compare.below(W, low, slack) or self.compare.above(W, high, slack)
            if o["mismatch_rule"] == "none":
                weight, slack = 1.0, 0.0
            elif o["mismatch_rule"] == "truncate":
                weight, slack = clipped(W, slack, low, high)
            elif outside:
                weight, slack = 0.0, 0.0
            if outside and o["mismatch_rule"] != "none":
                self.events.add("mismatch_masked" if o["mismatch_rule"] == "mask" else "mismatch_truncated")
        if rejection is not None and (o["reject_when"] == "any" or self.A < 0):
            R, e = exponential(between(rejection[0], -20.0, 20.0), rejection[1])
            if self.compare.below(R, o["reject_low"], e) or self.compare.above(R, o["reject_high"], e):
                self.events.add("rejected_tokens")
                weight, slack = 0.0, 0.0
        return weight, slack

    def evaluate(self, o, rho, mismatch, rejection):
        rho, slack = rho
        clamped = between(rho, o["log_ratio_min"], o["log_ratio_max"])
        if self.compare.below(rho, o["log_ratio_min"], slack) or self.compare.above(rho, o["log_ratio_max"], slack):
            self.events.add("log_clamped")
        self.r = exponential(clamped, slack)
        self.weight, self.weight_slack = self.correct(o, mismatch, rejection)
        self.c = self.at("token_weight", 1.0) * self.weight
        self.c_slack = abs(self.at("token_weight", 1.0)) * self.weight_slack
        self.k, self.k_slack = (self.weight, self.weight_slack) if o["correction_scope"] == "all" else (1.0, 0.0)
        self.alt = self.at("token_mode", 0) == 1
        self.value = self.by_ratio = self.by_logprob = self.kl = self.kl_loss = self.entropy_loss = self.by_entropy = NOTHING
        self.geometric = not self.alt and o["surrogate"] == "geometric"
        if not self.geometric:
            s = Surrogate(o, self.alt, self.A, self.lp, rho, self.r, self.compare)
            self.events |= s.events
            self.keep(s.value, s.by_ratio, s.by_logprob, o)
            if "log_clamped" in self.events:
                self.by_ratio = NOTHING
        if o["kl_coef"] != 0:
            self.penalize(o)
        if "entropy" in self.at.names and o["entropy_coef"] != 0 and self.k != 0:
            self.by_entropy = times(-o["entropy_coef"], (self.k, self.k_slack), 2)
            self.entropy_loss = times(self.at("entropy"), self.by_entropy, 2)

    def keep(self, value, by_ratio, by_logprob, o):
        """The policy term, times c, or without it."""
        if o["divergence"] != "none":
            anchor = self.at("rollout") if o["divergence_anchor"] == "rollout" else self.old
            if diverged(o, self.A, self.lp, anchor, self.compare):
                self.events.add("divergence_masked")
                return
        if self.c == 0:
            return
        self.value, self.by_ratio, self.by_logprob = (
            (self.c * x, abs(self.c) * e + self.c_slack * abs(x) + abs(self.c * x) * 3 * HALF)
            for x, e in (value, by_ratio, by_logprob))

    def penalize(self, o):
        """The KL term."""
        self.kl, slope, bites = divergence(o, difference(self.at("ref"), self.lp), self.compare)
        if self.k == 0:
            return
        r, slack = self.r if o["kl_weight"] == "ratio" else (1.0, 0.0)
        factor = o["kl_coef"] * self.k * r
        off = o["kl_coef"] * (abs(self.k) * slack + self.k_slack * r) + abs(factor) * 3 * HALF

        def weighed(x):
            return factor * x[0], abs(factor) * x[1] + off * abs(x[0])
        self.kl_loss = weighed(self.kl)
        self.by_logprob = added(self.by_logprob, weighed(slope))
        if o["kl_weight"] == "ratio" and not bites and "log_clamped" not in self.events:
            self.by_ratio = added(self.by_ratio, self.kl_loss)


def geometric(o, tokens, logs):
    """The surrogate that a sequence shares, and its derivative by the log-ratio of each token that is not clipped. It has
    bounds of its own and takes log-ratios unclamped."""
    n = len(tokens)
    A = math.fsum(token.A for token in tokens) / n
    off_A = HALF * math.fsum(abs(token.A) for token in tokens) / n
    low, high = bounds(o, False, A)
    bound = math.log(high) if A > 0 else math.log(low) if low else -INF
    u, flows = [], []
    for token, (rho, _) in zip(tokens, logs):
        # ln of a bound has two roundings: of the bound and its own
        outside = token.compare.above(rho, bound, 2 * U) if A > 0 else token.compare.below(rho, bound, 2 * U)
        if outside:
            token.events.add("clipped_high" if A > 0 else "clipped_low")
        u.append(bound if outside else rho)
        flows.append(not outside)
    mean, _ = total((x, 0.0) for x in u)
    r, slack = exponential(mean / n, U * math.fsum(map(abs, u)) / n)
    value = (-A * r, abs(A) * slack + off_A * r + abs(A * r) * HALF)
    for token in tokens:
        if token.geometric:
            token.keep(value, NOTHING, NOTHING, o)
    shared = times(1 / n, total(token.value for token in tokens if token.geometric), 2)
    for token, flow in zip(tokens, flows):
        if flow:
            token.by_ratio = added(token.by_ratio, shared)


class Arrays:
    """The inputs at one token."""

    def __init__(self, case, t):
        self.names, self.t = case.inputs, t

    def __call__(self, name, absent=None):
        return self.names[name][self.t] if name in self.names else absent


def evaluate(case, o, sequence):
    """The tokens of a sequence."""
    tokens = [Token(t, Arrays(case, t)) for t in sequence.tokens]
    for token in tokens:
        token.A = case.inputs["advantages"][token.t if o["advantage_level"] == "token" else sequence.i]
    logs = levelled(o["ratio_level"], [difference(t.lp, t.old) for t in tokens])
    none = [None] * len(tokens)
    corrections = [none if o[kind + "_level"] == "none" else levelled(o[kind + "_level"], [t.source(o[name]) for t in tokens])
                   for kind, name in (("mismatch", "mismatch_numerator"), ("reject", "reject_source"))]
    for token, *rest in zip(tokens, logs, *corrections):
        token.evaluate(o, *rest)
    if tokens and o["surrogate"] == "geometric":
        geometric(o, tokens, logs)
    return tokens


def slopes_of(o, tokens):
    """What the derivatives by the log-ratio give each token: its own, or a part of all where the sequence shares it."""
    if o["ratio_level"] == "token" or o["ratio_gradient"] == "straight" or not tokens:
        return [t.by_ratio for t in tokens]
    n = len(tokens) if o["ratio_level"] == "sequence_mean" else 1
    return [times(1 / n, total(t.by_ratio for t in tokens), 1)] * len(tokens)


def statistics(o, by_sequence, scales):
    """merit_policy_stats in words of 64 bits."""
    tokens = [t for s in by_sequence for t in s]
    open_tokens = sum(t.compare.open for t in tokens)
    count = {name: sum(name in t.events for t in tokens) for name in COUNTS}
    count.update(tokens=len(tokens), sequences=len(by_sequence), nonempty_sequences=sum(map(bool, by_sequence)),
                 rejected_sequences=sum(bool(s) and all("rejected_tokens" in t.events for t in s) for s in by_sequence),
                 nan_tokens=sum(math.isnan(t.loss) for t in tokens))
    part = {name: [times(a, getattr(t, field)) for s, a in zip(by_sequence, scales) for t in s]
            for name, field in (("policy_loss", "value"), ("kl_loss", "kl_loss"), ("entropy_loss", "entropy_loss"))}
    rho = [difference(t.lp, t.old) for t in tokens]
    k3 = [math.expm1(x) - x if abs(x) > 1e-4 else x * x / 2 * (1 + x / 3) for x in rho]
    ratios, weights = [t.r for t in tokens], [t.W for t in tokens if t.W is not None]
    gaps = [abs(t.source(o["mismatch_numerator"])) for t in tokens if "rollout" in t.at.names]
    part.update(sum_ratio=ratios, sum_ratio_squared=[(r * r, 2 * r * e) for r, e in ratios],
                sum_k1=[(-x, 0.0) for x in rho], sum_k3=[(x, x * 2 * U) for x in k3], sum_kl_ref=[t.kl for t in tokens],
                sum_entropy=[(t.at("entropy", 0.0), 0.0) for t in tokens], sum_mismatch=weights,
                sum_abs_logprob_gap=[(x, 0.0) for x in gaps])
    ends = [Packed(tuple(Value(x, 0.0, e) for x, e in (min(terms, default=(INF, 0.0)), max(terms, default=(-INF, 0.0)))), "ff")
            for terms in (ratios, weights)]
    return [Value(count[name], 0.0, open_tokens) for name in COUNTS] + [word(total(part[name])) for name in SUMS] + ends


def results(case):
    o = f32_options(case.options(DEFAULTS, PRESETS))
    o["denominator"] = case.desc["denominator"]  # binary64
    D = denominator(case, o)
    layout, refused = sequences(case)
    by_sequence, scales = [], []
    found = {name: [NOTHING] * o["num_tokens"] for name in ("grad_logprob", "grad_entropy", "token_loss")}
    for sequence in layout:
        for t in sequence.lost:
            for values in found.values():
                values[t] = (NAN, 0.0)
        tokens = evaluate(case, o, sequence) if D != 0 else []
        weight = case.inputs["sequence_weight"][sequence.i] if "sequence_weight" in case.inputs else 1.0
        a = scale(sequence, o, D, weight) if tokens else 0.0
        by_sequence.append(tokens)
        scales.append(a)
        slopes = slopes_of(o, tokens)
        for token, slope in zip(tokens, slopes):
            gradient = added(slope, token.by_logprob)
            loss = total((token.value, token.kl_loss, token.entropy_loss))
            token.loss = loss[0]
            for name, term in (("grad_logprob", gradient), ("grad_entropy", token.by_entropy), ("token_loss", loss)):
                value = times(a, term, 3) if a != 0 else NOTHING
                found[name][token.t] = (value[0], INF) if token.compare.open else value
    losses = [total(times(a, total((t.value, t.kl_loss, t.entropy_loss))) for t in tokens) if a != 0 else NOTHING
              for tokens, a in zip(by_sequence, scales)]
    result = {"diagnostics." + name: [n] for name, n in refused.items()}
    found.update(loss=[total(losses)], loss_tiles=tiles(losses))
    result.update({name: expected(case, name, terms) for name, terms in found.items() if name in case.outputs})
    if "stats" in case.outputs:
        result["stats"] = statistics(o, by_sequence, scales)
    return result
