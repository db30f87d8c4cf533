"""advantage_group: groups worked by hand. The numbers in `printed` were worked out on paper; the files
hold the same formula in double, which has to agree with them to the printed digits."""
import math

from golden_file import Tensor, f32

OP = "advantage_group"
FOLDER = "advantage_group"


# Textbook formulas ---------------------------------------------------------------------------------

def mean(v):
    return math.fsum(v) / len(v)


def m2(v):
    m = mean(v)
    return math.fsum((x - m) ** 2 for x in v)


def std(v, ddof):
    return math.sqrt(m2(v) / (len(v) - ddof))


def centered(v):
    m = mean(v)
    return [x - m for x in v]


def without(v, i):
    return v[:i] + v[i + 1:]


def leave_one_out(v):
    return [x - mean(without(v, i)) for i, x in enumerate(v)]


def over(c, d):
    return [0.0 if x == 0 else x / d for x in c]


def standard(ddof, eps=0.0):
    return lambda v: over(centered(v), std(v, ddof) + eps)


def nemo(eps=0.0):
    """Center and deviation of the other members; unscaled where they do not deviate."""
    def formula(v):
        out = []
        for i, c in enumerate(leave_one_out(v)):
            others = without(v, i)
            s = std(others, 1) if len(others) > 1 and min(others) != max(others) else 0.0
            out.append(c / (s + eps) if s > 0 else c)
        return out
    return formula


def rank(v, ties):
    n = len(v)
    above = [sum(y > x for y in v) for x in v]
    if ties == "average":
        above = [k + (sum(y == x for y in v) - 1) / 2 for k, x in zip(above, v)]
    if ties == "ordinal":
        above = [k + sum(y == x for y in v[:i]) for i, (k, x) in enumerate(zip(above, v))]
    return [1 - k / (n - 1) for k in above]


def log_mean_exp(v):
    top = max(v)
    return top + math.log(math.fsum(math.exp(x - top) for x in v) / len(v))


def leave_one_out_lme(v):
    if min(v) == max(v):
        return [0.0] * len(v)
    n = len(v)
    out = []
    for i, x in enumerate(v):  # LME(all) - LME(others) = softplus(x - L) - log(n / (n - 1))
        other = log_mean_exp(without(v, i)) + math.log(n - 1)
        d = x - other
        softplus = max(d, 0.0) + math.log1p(math.exp(-abs(d)))
        out.append(softplus - math.log(n / (n - 1)))
    return out


def softmax(v, temperature):
    top = max(v)
    e = [math.exp((x - top) / temperature) for x in v]
    return [x / math.fsum(e) for x in e]


# Writing ----------------------------------------------------------------------------------------------

def agree(values, printed, digits):
    assert len(values) == len(printed), (values, printed)
    for a, b in zip(values, printed):
        same = math.isnan(a) and math.isnan(b) if math.isnan(b) else abs(a - b) <= digits
        assert same, (values, printed)


class Hand:
    def __init__(self, golden):
        self.golden = golden

    def write(self, name, note, groups, expected, dtype, check, desc=None, preset=None, extra=None,
              outputs=None):
        """One case: `groups` are lists of rewards, of one size or ragged."""
        desc = dict(desc or {})
        tensors = {}
        sizes = {len(g) for g in groups}
        if len(sizes) == 1:
            desc["groups"] = {"group_size": sizes.pop()}
        else:
            offsets = [0]
            for g in groups:
                offsets.append(offsets[-1] + len(g))
            tensors["in.groups.offsets"] = Tensor("I64", offsets)
        desc["advantage_dtype"] = dtype.lower()
        rows = [x for g in groups for x in g]
        tensors["in.rewards"] = Tensor(dtype, rows)
        tensors["out.advantages"] = Tensor("F64", expected)
        tensors.update(extra or {})
        tensors.update(outputs or {})
        self.golden.case(FOLDER, name, OP, desc, tensors, note, preset=preset,
                         check={"advantages": check})

    def both(self, name, note, groups, formula, printed, desc=None, preset=None, extra=None,
             digits=5.1e-8, exact=False):
        """In binary32 and in binary64. formula: group -> its advantages."""
        agree([a for g in groups for a in formula(g)], printed, digits)
        for dtype, atol in (("F32", 1e-6), ("F64", 1e-12)):
            held = [[f32(x) for x in g] if dtype == "F32" else g for g in groups]
            expected = [a for g in held for a in formula(g)]
            check = {"bits": True} if exact else {"atol": atol}
            if exact:
                expected = printed
            self.write(f"{name}_{dtype.lower()}", note, held, expected, dtype, check, desc, preset,
                       extra)


def scales(hand):
    zeros_ones = [[0.0, 0.0, 1.0, 1.0]]
    coins = [[1.0, 0.0, 0.0, 1.0]]
    mixed = [[1.0, 2.0, 3.0, 6.0]]
    hand.both("01_std_population", "mean 1/2, population deviation 1/2: exact", zeros_ones,
              standard(0), [-1, -1, 1, 1], {"ddof": 0, "eps": 0.0}, exact=True)
    for eps, a, label in ((0.0, .8660254, "0"), (1e-6, .8660239, "1e-6"), (1e-4, .8658754, "1e-4")):
        hand.both(f"02_std_eps_{label}", f"sample deviation with eps {label} added", coins,
                  standard(1, eps), [a, -a, -a, a], {"eps": eps})
    hand.both("03_leave_one_out", "the mean of the others is taken away", coins + mixed,
              leave_one_out, [.6666667, -.6666667, -.6666667, .6666667, -2.6666667, -1.3333333, 0, 4],
              preset="rloo")
    hand.both("04_std_sample", "deviations -2,-1,0,3: m2 = 14", mixed, standard(1),
              [-.9258201, -.4629100, 0, 1.3887301], {"eps": 0.0})
    hand.both("04_std_population", "deviations -2,-1,0,3: m2 = 14", mixed, standard(0),
              [-1.0690450, -.5345225, 0, 1.6035675], {"ddof": 0, "eps": 0.0})
    one = [[0.0, 0.0, 0.0, 1.0]]
    hand.both("05_one_right_centered", "one right answer of four, not scaled", one, centered,
              [-.25, -.25, -.25, .75], {"scale": "none"}, exact=True)
    hand.both("05_one_right_scaled", "one right answer of four, scaled", one, standard(1),
              [-.5, -.5, -.5, 1.5], {"eps": 0.0}, exact=True)


def equal_rewards(hand):
    groups = [[value] * n for value in (.1, .7, .95, 3.3, 100.7) for n in (6, 7, 8, 12, 16, 64)]
    zeros = [0.0] * sum(map(len, groups))
    for scale in ("none", "std", "leave_one_out_std", "rms", "mean", "mean_abs", "nonzero_share"):
        for dtype in ("F32", "F64"):
            hand.write(f"06_equal_rewards_{scale}_{dtype.lower()}", "equal rewards give +0, whatever eps",
                       groups, zeros, dtype, {"bits": True}, {"scale": scale, "eps": 1e-9})


def conventions(hand):
    hand.both("07_nemo", "leave-one-out deviation, unscaled where the others agree",
              [[0.0, .75, .75, .75], [0.0, 1.0, 2.0, 4.0]], nemo(),
              [-.75, .5773503, .5773503, .5773503, -1.5275252, -.5, .1601282, 3], {"eps": 0.0},
              preset="nemo.grpo")
    hand.both("08_nemo_equal_others", "the others agree: their deviation is 0, not rounding noise",
              [[0.0] + [.95] * 7, [1.0, 3.0]], nemo(1e-6), [-.95] + [.3779634] * 7 + [-2, 2], preset="nemo.grpo")
    near = [f32(1.0), f32(1.00001)]
    expected = standard(1, 1e-6)(near)
    agree(expected, [-.6196008, .6196008], 5.1e-8)
    hand.write("09_verl_near_equal_f32", "rewards 1e-5 apart against eps 1e-6", [near], expected, "F32",
               {"atol": 1e-6}, preset="verl.grpo")
    for rule, a in (("zero", 0.0), ("raw", .75), ("unit", .74999925), ("nan", math.nan)):
        hand.both(f"10_singleton_{rule}", "a group of one", [[.75]],
                  lambda v: [{"zero": 0.0, "raw": v[0], "unit": v[0] / (1 + 1e-6), "nan": math.nan}[rule]],
                  [a], {"singleton": rule, "eps": 1e-6}, digits=1e-12)

    def skip_nan(v):
        valid = [x for x in v if not math.isnan(x)]
        a = standard(1)(valid) if len(valid) > 1 else [0.0]
        return [0.0 if math.isnan(x) else a.pop(0) for x in v]

    nan = math.nan
    hand.both("11_trl_skips_nan", "NaN rewards stay out and get 0", [[1.0, nan, 0.0, 1.0], [nan, nan, 2.0, nan]],
              skip_nan, [.5773503, 0, -1.1547005, .5773503, 0, 0, 0, 0], {"eps": 0.0}, preset="trl.group")
    masks = {"in.stats_mask": Tensor("U8", [1, 1, 1, 1, 0, 0, 0, 0]),
             "in.mask": Tensor("U8", [0, 0, 0, 0, 1, 1, 1, 1])}
    hand.both("12_rltf", "second turns against the mean of the first", [[0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0]],
              lambda v: [0.0] * 4 + [x - mean(v[:4]) for x in v[4:]], [0, 0, 0, 0, .75, .75, .75, -.25],
              preset="rltf", extra=masks, exact=True)
    masks = {"in.stats_mask": Tensor("U8", [1, 0, 0, 1, 0, 0]), "in.mask": Tensor("U8", [0, 1, 1, 0, 1, 1])}
    hand.both("13_brpo", "sign against a reference member; a tie loses", [[.5, .9, .2], [.5, .5, .2]],
              lambda v: [0.0] + [1.0 if x > v[0] else -1.0 for x in v[1:]], [0, 1, -1, 0, -1, -1],
              preset="brpo", extra=masks, exact=True)
    lengths = [1.0, 2.0, 3.0, 2.0]
    hand.both("14_opo", "mean weighted by lengths: 3/8", [[1.0, 0.0, 0.0, 1.0]],
              lambda v: [x - math.fsum(w * y for w, y in zip(lengths, v)) / math.fsum(lengths) for x in v],
              [.625, -.375, -.375, .625], preset="opo", extra={"in.weights": Tensor("F32", lengths)}, exact=True)
    hand.both("15_maxrl", "divided by the mean; 0 where it is not positive",
              [[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [-1.0, 0.0, 0.0, 0.0]],
              lambda v: over(centered(v), mean(v)) if mean(v) > 0 else [0.0] * 4,
              [1, -1, -1, 1, -1, -1, -1, 3, 0, 0, 0, 0], preset="maxrl", exact=True)

    def runner_up(v):
        first, second = sorted(v, reverse=True)[:2]
        return [(first - second) / std(v, 1) if i == v.index(first) else 0.0 for i in range(len(v))]

    hand.both("16_verl_passk", "the best against the runner-up", [[1.0, 3.0, 2.0, 0.0], [3.0, 3.0, 0.0, 0.0]],
              runner_up, [0, .7745967, 0, 0, 0, 0, 0, 0], {"eps": 0.0}, preset="verl.passk")
    hand.both("17_gpg", "share of nonzero rewards in the batch: 3 of 6", [[1.0, 0.0]] * 3,
              lambda v: [c / .5 for c in centered(v)], [1, -1] * 3, preset="gpg", exact=True)


def transforms(hand):
    hand.both("18_arena_rl", "distinct ranks: ((G-1)/2 - k) / sqrt(G (G+1) / 12)", [[8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]],
              lambda v: [((len(v) - 1) / 2 - sum(y > x for y in v)) / math.sqrt(len(v) * (len(v) + 1) / 12) for x in v],
              [1.4288690, 1.0206207, .6123724, .2041241, -.2041241, -.6123724, -1.0206207, -1.4288690],
              {"eps": 0.0}, preset="arena_rl")
    for ties, printed in (("min", [.9933993, .1986799, .1986799, -1.3907590]),
                          ("average", [1.2247449, 0, 0, -1.2247449]),
                          ("ordinal", [1.1618950, .3872983, -.3872983, -1.1618950])):
        hand.both(f"19_rank_{ties}", f"ranks with ties {ties}", [[3.0, 1.0, 1.0, 0.0]],
                  lambda v: standard(1)(rank(v, ties)), printed,
                  {"transform": "rank", "rank_ties": ties, "eps": 0.0})
    hand.both("20_jepo", "log mean exp of all less that of the others", [[-1.0, -2.0, -3.0], [-1.0, -60.0, -60.0]],
              leave_one_out_lme, [.6888792, -.1247872, -.3111208, 57.9013877, -.4054651, -.4054651], preset="jepo")
    hand.both("20_jepo_equal", "equal rewards: exactly 0", [[-2.0, -2.0, -2.0]], leave_one_out_lme, [0, 0, 0],
              preset="jepo", exact=True)
    hand.both("21_tilted", "softmax at temperature 1", [[0.0, 1.0, 2.0]], lambda v: softmax(v, 1.0),
              [.0900306, .2447285, .6652410], {"temperature": 1.0}, preset="tilted")


def outliers_and_rules(hand):
    rewards = [-100.0, 0.0, 0.0, 0.0, -1.0, -1.0, 0.0, -1.0]

    def spread(zero, one, outlier):
        return [{-100.0: outlier, 0.0: zero, -1.0: one}[x] for x in rewards]

    hand.both("22_outlier", "an outlier takes the deviation over", [rewards], standard(1),
              spread(.3656913, .3372881, -2.4746292), {"eps": 0.0})
    hand.both("22_outlier_masked", "the outlier stays out of the statistics", [rewards],
              lambda v: over([x - mean(v[1:]) for x in v], std(v[1:], 1)),
              spread(.8017837, -1.0690450, -186.2810856), {"eps": 0.0},
              extra={"in.stats_mask": Tensor("U8", [0] + [1] * 7)})
    hand.both("22_outlier_clipped", "the outlier is clipped to -2", [rewards],
              lambda v: standard(1)([max(x, -2.0) for x in v]), spread(.8400269, -.5040161, -1.8480591),
              {"eps": 0.0, "reward_low": -2.0})
    mixed = [[1.0, 2.0, 3.0, 6.0]]
    hand.both("23_areal_loo", "leave-one-out over its own root mean square", mixed, standard(1),
              [-.9258201, -.4629100, 0, 1.3887301], {"eps": 0.0}, preset="areal.loo")
    hand.both("23_mean_abs", "divided by the mean absolute deviation 3/2", mixed,
              lambda v: over(centered(v), mean([abs(c) for c in centered(v)])), [-1.3333333, -.6666667, 0, 2],
              {"scale": "mean_abs", "eps": 0.0})
    for rule, eps, a in (("floor", 1.0, .5), ("root", .75, .5), ("root_floor", 4.0, .25), ("add", .5, .5)):
        d = {"floor": max(.5, eps), "root": math.sqrt(.25 + eps), "root_floor": math.sqrt(max(.25, eps)),
             "add": .5 + eps}[rule]
        hand.both(f"24_eps_{rule}", f"deviation 1/2 under eps rule {rule}", [[0.0, 0.0, 1.0, 1.0]],
                  lambda v: over(centered(v), d), [-a, -a, a, a], {"ddof": 0, "eps": eps, "eps_rule": rule}, exact=True)
    hand.both("25_unit_map", "mapped from [-2, 2] to [0, 1]", mixed,
              lambda v: [min(max(a / 4 + .5, 0.0), 1.0) for a in standard(0, 1e-4)(v)],
              [.2327530, .3663765, .5, .9008704], {"map_range": 2.0}, preset="rational_rewards")
    hand.both("26_roll_agentic", "a deviation of 3.4e-7 counts as 0", [[1.0, 1 + 2.0 ** -21]], lambda v: [0.0, 0.0],
              [0, 0], preset="roll.agentic", exact=True)
    shifted, plain = [2.0 ** 20 + k for k in range(4)], [float(k) for k in range(4)]
    expected = standard(1)(plain) * 2
    agree(expected, [-1.1618950, -.3872983, .3872983, 1.1618950] * 2, 5.1e-8)
    hand.write("27_shift_f64", "a shift of 2^20 changes no bit", [shifted, plain], expected, "F64", {"bits": True},
               {"eps": 0.0})


def columns_and_levels(hand):
    first, second = [1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 10.0, 10.0]
    rows = [list(r) for r in zip(first, second)]
    a, b = standard(1)(first), standard(1)(second)
    summed = [x + y for x, y in zip(a, b)]
    combined = standard(1)([x + y for x, y in rows])
    agree(summed, [0, -1.7320508, 0, 1.7320508], 5.1e-8)
    agree(combined, [-.7755547, -.9479002, .7755547, .9479002], 5.1e-8)
    for dtype, atol in (("F32", 1e-6), ("F64", 1e-15)):
        for mode, expected in (("normalize_first", summed), ("combine_first", combined)):
            hand.golden.case(FOLDER, f"28_{mode}_{dtype.lower()}", OP,
                             {"groups": {"group_size": 4}, "eps": 0.0, "columns": mode, "advantage_dtype": dtype.lower()},
                             {"in.rewards": Tensor(dtype, rows), "out.advantages": Tensor("F64", expected)},
                             "two columns, normalized before or after they are added",
                             check={"advantages": {"atol": atol}})
    for dtype in ("F32", "F64"):
        tail = dtype.lower()
        hand.golden.case(FOLDER, f"29_trajectories_{tail}", OP, {"groups": {"group_size": 2}, "advantage_dtype": tail},
                         {"in.rewards": Tensor(dtype, [.9, 0.0]), "out.advantages": Tensor("F64", [.45, -.45])},
                         "two levels, first call: trajectories", preset="verpo", check={"advantages": {"atol": 1e-6}})
        hand.golden.case(FOLDER, f"29_turns_{tail}", OP, {"gain": .5, "advantage_dtype": tail},
                         {"in.rewards": Tensor(dtype, [1.0, 3.0, 2.0]), "in.groups.offsets": Tensor("I64", [0, 2, 3]),
                          "in.add": Tensor("F32", [.45, -.45]), "in.add_index": Tensor("I32", [0, 0, 1]),
                          "out.advantages": Tensor("F64", [-.05, .95, -.45])},
                         "two levels, second call: turns with beta 1/2 on top of their trajectory", preset="verpo",
                         check={"advantages": {"atol": 1e-6}})


def write(golden):
    hand = Hand(golden)
    scales(hand)
    equal_rewards(hand)
    conventions(hand)
    transforms(hand)
    outliers_and_rules(hand)
    columns_and_levels(hand)
