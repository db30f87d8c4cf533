"""preference_pair: losses of one chosen and one rejected score, as the header and the cited papers state them."""
import math

from formula_preference import INF, NAN, added, link, over, probability, scaled, tiles, times, words
from formula_preference_pair_presets import DEFAULTS, PRESETS
from formula_values import ULP, f32_options, held
from golden_preference_pair import s, tie

READ = ("chosen", "rejected", "ref_chosen", "ref_rejected", "margins", "weights", "betas", "beta_signal", "probabilities")
COUNTERS = ("nonfinite", "bad_weight", "bad_target", "bad_length", "bad_route", "bad_tie", "zero_denominator")
ABSENT, ZERO, INVALID, GOOD = range(4)  # not valid; valid, of weight 0; valid, NaN; valid


class Pair:
    """One pair: its state, and what follows from its inputs."""

    def __init__(self, case, o, i, count):
        self.case, self.o, self.i, self.count = case, o, i, count
        self.route, self.weight = 0, self.at("weights", 1.0)
        self.loss = self.by_chosen = self.by_rejected = self.by_tie = (0.0, 0.0)
        self.chance = 0.0
        self.state = self.judge()
        if self.state == INVALID:
            self.chance, self.weight = NAN, abs(self.weight)
            self.loss = self.by_chosen = self.by_rejected = self.by_tie = (NAN, 0.0)
        elif self.state == GOOD:
            self.evaluate()

    def at(self, name, absent):
        return self.case.inputs[name][self.i] if name in self.case.inputs else absent

    def judge(self):
        o, bad = self.o, False
        if self.at("mask", 1) == 0:
            return ABSENT
        if o["route_kind"] != "one":
            self.route = self.at("routes", None) if o["route_kind"] == "array" else self.i % o["num_routes"]
            if not 0 <= self.route < o["num_routes"]:
                self.route, bad = 0, True
                self.count["bad_route"] += 1
        if self.weight == 0:
            return ZERO
        outcome = self.at("outcomes", None)
        if o["tie_model"] == "drop" and outcome == 0:
            return ABSENT
        self.p = {"chosen": 1.0, "probability": self.at("probabilities", None),
                  "outcome": {1: 1.0, -1: 0.0, 0: .5}.get(outcome)}[o["target"]]
        if not all(math.isfinite(self.at(name, 0.0)) for name in READ):
            self.count["nonfinite"] += 1
            if o["skip_invalid"]:
                return ABSENT
            bad = True
        eta = self.log_tie()
        wrong = {"bad_weight": not self.weight >= 0, "bad_target": self.p is None or not 0 <= self.p <= 1,
                 "bad_length": self.at("chosen_length", 1) <= 0 or self.at("rejected_length", 1) <= 0,
                 "bad_tie": o["tie_model"] == "rao_kupper" and outcome == 0 and not eta > 0}
        for name, holds in wrong.items():
            self.count[name] += holds
        return INVALID if bad or any(wrong.values()) else GOOD

    def log_tie(self):
        return self.case.inputs["log_tie_dev"][0] if "log_tie_dev" in self.case.inputs else self.o["log_tie"]

    def beta(self):
        o = self.o
        if o["beta_map"] == "margin_exp":
            return max(0.0, o["beta"] * (1 + o["map_weight"] * -math.expm1(-o["map_rate"] * self.at("beta_signal", None))))
        return self.at("betas", None) if o["beta_map"] == "array" else o["beta"]

    def fitted(self):
        """q+: what p becomes under label noise."""
        e = self.o["smoothing"]
        if e == 0 or self.p == .5:
            return self.p
        return (1 - e) * self.p + e * (1 - self.p) if self.o["smoothing_kind"] == "conservative" else (self.p - e) / (1 - 2 * e)

    def evaluate(self):
        o, beta = self.o, self.beta()
        self.x = [(self.at(side, 0.0) - self.at("ref_" + side, 0.0)) / self.at(side + "_length", 1)
                  for side in ("chosen", "rejected")]
        self.d = self.x[0] - self.x[1]
        margin = o["margin"] + self.at("margins", 0.0)
        self.z = z = beta * self.d - margin
        opposite = -z if o["opposite"] == "negate" else -beta * self.d - margin
        losses, slopes = [], [[], []]
        if o["tie_model"] in ("rao_kupper", "davidson"):
            self.outcome_of_three(z, opposite, beta, losses, slopes)
        else:
            self.chance = probability(z)
            q = self.fitted()
            for share, logit, sign in ((q, z, 1), (1 - q, opposite, -1)):
                if share * o["pair_weight"] != 0:
                    value, slope = link(o["link"], logit, o["link_param"])
                    self.count["nonfinite"] += value[0] == INF
                    losses.append(scaled(o["pair_weight"] * share, value))
                    for side in (0, 1):
                        slopes[side].append(scaled((1 - 2 * side) * sign * o["pair_weight"] * beta * share, slope))
        self.sides(beta, losses, slopes)
        total = self.x[0] + self.x[1]
        losses.append((o["center"] * total * total, 0.0))
        for side in (0, 1):
            slopes[side].append((2 * o["center"] * total, 0.0))
        self.loss, (self.by_chosen, self.by_rejected) = added(losses), map(added, slopes)

    def outcome_of_three(self, z, opposite, beta, losses, slopes):
        model, l, outcome, a = self.o["tie_model"], self.log_tie(), self.at("outcomes", None), self.o["pair_weight"]
        value, by_z, by_l = tie(model, l, opposite, 1) if outcome < 0 else tie(model, l, z, outcome)
        self.chance = s(z - l) if model == "rao_kupper" else math.exp(-tie(model, l, z, 1)[0])
        # What a difference is made of: sp(l - z) + sp(l + z) - log(expm1(2 l)), or m - z / 2.
        size = 2 + 2 * abs(z) + 2 * abs(l)
        losses.append((a * value, a * size * 2.0 ** -50))
        for side in (0, 1):
            slopes[side].append(((1 - 2 * side) * (-1 if outcome < 0 else 1) * a * beta * by_z, a * beta * 4 * 2.0 ** -50))
        self.by_tie = a * by_l, a * (2 + abs(by_l)) * 2.0 ** -50

    def sides(self, beta, losses, slopes):
        """Losses of one score alone."""
        o = self.o
        shift = self.case.inputs["unary_shift_dev"][0] if "unary_shift_dev" in self.case.inputs else o["unary_shift"]
        for k, coefficient in enumerate(o["unary"]):
            if coefficient != 0:
                side, sign = k // 2, 1 - k % 2 * 2
                value, slope = link(o["unary_link"], sign * (beta * self.x[side] - shift) - o["unary_margin"], o["link_param"])
                losses.append(scaled(coefficient, value))
                slopes[side].append(scaled(sign * beta * coefficient, slope))


def metrics(pairs, present):
    """Of the pairs of one route."""
    valid = [p for p in pairs if p.state != ABSENT]
    read = [p for p in valid if p.state != ZERO]
    good = [p for p in read if p.state == GOOD]
    decided = [p for p in read if p.p != .5]
    scores = [x for p in good for x, there in zip(p.x, present) if there]
    counts = [len(valid), len(valid) - len(read), len(decided),
              sum(p.state == GOOD and p.d != 0 and (p.d > 0) == (p.p > .5) for p in decided),
              sum(p.state == GOOD and p.d == 0 for p in decided), len(read) - len(decided), len(read) - len(good)]
    sums = [added([(p.weight, 0.0) for p in good]), added([p.loss for p in good])]
    sums += [added([(x, 0.0) for x in xs]) for xs in ([p.d for p in good], [p.d * p.d for p in good], [p.x[0] for p in good],
                                                       [p.x[1] for p in good])]
    return words(counts, sums + [(min(scores, default=INF), 0.0), (max(scores, default=-INF), 0.0)])


def calibration(pairs, bins):
    """Hits by confidence, which is binary32 and within 2.5 ulp."""
    result = []
    good = [p for p in pairs if p.state == GOOD]
    confidence = [probability(abs(p.z)) for p in good]
    place = [min(bins - 1, int((c - .5) * 2 * bins)) for c in confidence]
    for b in range(bins):
        inside = [(p, c) for p, c, at in zip(good, confidence, place) if at == b]
        hits = [.5 if p.z == 0 or p.p == .5 else float((p.z > 0) == (p.p > .5)) for p, _ in inside]
        result += words([len(inside)], [(math.fsum(c for _, c in inside), len(inside) * 2.5 * ULP["F32"]), (sum(hits), 0.0)])
    return result


def divisors(case, o, pairs):
    """D of each route, and whether it has a valid pair."""
    result = []
    for k in range(o["num_routes"]):
        valid = [p for p in pairs if p.route == k and p.state != ABSENT]
        d = {"sum": 1.0, "mean_valid": float(len(valid)), "mean_weight": math.fsum(p.weight for p in valid)}
        result.append((case.inputs["denominators"][k] if o["reduction"] == "given" else d[o["reduction"]], bool(valid)))
    return result


def results(case):
    o = f32_options(case.options(DEFAULTS, PRESETS))
    count = dict.fromkeys(COUNTERS, 0)
    present = [side in case.inputs for side in ("chosen", "rejected")]
    size = len(case.inputs["chosen" if present[0] else "rejected"])
    pairs = [Pair(case, o, i, count) for i in range(size)]
    routes = o["num_routes"]
    alpha = case.inputs["alpha"].values if "alpha" in case.inputs else [1.0] * routes
    upstream = case.inputs["grad_scale"][0] if "grad_scale" in case.inputs else 1.0
    weighted = [scaled(p.weight, p.loss) if p.state in (INVALID, GOOD) else (0.0, 0.0) for p in pairs]
    route_of = [None if p.state == ABSENT else p.route for p in pairs]
    by_tile = tiles(weighted, route_of, routes)
    sums = [added([w for w, r in zip(weighted, route_of) if r == k]) for k in range(routes)]
    scale, parts = [0.0] * routes, []
    for k, (d, valid) in enumerate(divisors(case, o, pairs)):
        if valid:
            count["zero_denominator"] += d == 0
            scale[k] = over(upstream * alpha[k], d)
            parts.append((over(alpha[k] * sums[k][0], d), abs(over(alpha[k] * sums[k][1], d))))
    loss = added(parts)
    found = {"loss": [loss], "route_sum": sums, "loss_tiles": by_tile, "pair_loss": weighted,
             "pair_probability": [(p.chance, p.chance * 2.5 * ULP["F32"]) for p in pairs],
             "grad_tie": [added([scaled(scale[p.route] * p.weight, p.by_tie) for p in pairs])]}
    for side in ("chosen", "rejected"):
        found["grad_" + side] = [times(scale[p.route] * p.weight / p.at(side + "_length", 1), getattr(p, "by_" + side))
                                 if p.state in (INVALID, GOOD) and p.at(side + "_length", 1) > 0 else (p.loss[0], 0.0)
                                 for p in pairs]
    narrow = {"grad_chosen": o["score_dtype"], "grad_rejected": o["score_dtype"]}
    result = {"diagnostics." + name: [n] for name, n in count.items()}
    for name, terms in found.items():
        if name in case.outputs:
            dtype = narrow.get(name, "f32").upper()
            result[name] = held(case, name, [x for x, _ in terms], 2.0 ** -52, [e for _, e in terms],
                                dtype if dtype in ("BF16", "F16") else None)
    by_route = [[p for p in pairs if p.route == k] for k in range(routes)]
    result["metrics"] = [word for group in by_route for word in metrics(group, present)]
    result["calibration"] = [word for group in by_route for word in calibration(group, o["calibration_bins"])]
    return result
