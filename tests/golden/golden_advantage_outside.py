"""advantage_group and advantage_spread: members outside the statistics, clips, sets for themselves, segments that cannot
be spread. Worked by hand like golden_advantage."""
import math

from golden_advantage import FOLDER, OP, Hand, agree, log_mean_exp, over, softmax, standard
from golden_degenerate import FILL32
from golden_file import Tensor

NAN = math.nan


def outside(hand):
    """Compared with the members in the statistics; statistics do not see them."""
    def both(name, note, rewards, inside, expected, printed, **more):
        hand.both(name, note, [rewards], lambda v: expected, printed, extra={"in.stats_mask": Tensor("U8", inside)}, **more)

    third, root = 1 / 3, math.sqrt(1 / 6)  # the deviation of 1, 1/2, 1/2, 0
    both("30_rank_min_outside", "one larger: rank 1 of 0 to 3", [3.0, 1.0, 1.0, 1.0, 0.0], [1, 1, 0, 1, 1],
         over([u - 7 / 12 for u in (1, 2 / 3, 2 / 3, 2 / 3, 0)], math.sqrt(76 / 144 / 3)),
         [.9933993, .1986799, .1986799, .1986799, -1.3907590], desc={"transform": "rank", "eps": 0.0})
    both("30_rank_average_outside", "shares the ranks 1 to 3 with its two equals", [3.0, 1.0, 1.0, 1.0, 0.0], [1, 1, 0, 1, 1],
         over([.5, 0, third - .5, 0, -.5], root), [1.2247449, 0, -.4082483, 0, -1.2247449],
         desc={"transform": "rank", "rank_ties": "average", "eps": 0.0})
    both("30_rank_ordinal_outside", "after the equal that stands before it", [3.0, 1.0, 1.0, 1.0, 0.0], [1, 1, 0, 1, 1],
         over([.5, third / 2, -third / 2, -third / 2, -.5], math.sqrt(5 / 27)),
         [1.1618950, .3872983, -.3872983, -.3872983, -1.1618950],
         desc={"transform": "rank", "rank_ties": "ordinal", "eps": 0.0})
    own = softmax([0.0, 1.0, 2.0], 1.0)
    both("31_softmax_outside", "over the sum of the others: may be above 1", [0.0, 1.0, 1.0, 2.0, 3.0], [1, 1, 0, 1, 0],
         [own[0], own[1], own[1], own[2], own[2] * math.e], [.0900306, .2447285, .2447285, .6652410, 1.8083124],
         desc={"temperature": 1.0}, preset="tilted")
    rewards, members = [-1.0, -2.0, -3.0, -1.0], [-1.0, -2.0, -3.0]
    both("32_jepo_outside", "what it would add to the mean", rewards, [1, 1, 1, 0],
         [log_mean_exp(members) - log_mean_exp([y for j, y in enumerate(members) if j != i]) for i in range(3)]
         + [log_mean_exp(rewards) - log_mean_exp(members)], [.6888792, -.1247872, -.3111208, .2222878], preset="jepo")
    both("33_leave_one_out_outside", "the only one gets its value, a judged one the difference", [2.0, 5.0], [1, 0], [2.0, 3.0],
         [2, 3], desc={"center": "leave_one_out", "scale": "none", "singleton": "raw"}, exact=True)
    both("33_runner_up_outside", "no best of one", [2.0, 5.0], [1, 0], [2.0, 0.0], [2, 0],
         desc={"center": "runner_up", "scale": "none", "singleton": "raw"}, exact=True)


def clips(hand):
    hand.both("34_advantage_clipped", "advantages into [-1/2, 1]", [[1.0, 2.0, 3.0, 6.0]],
              lambda v: [min(max(a, -.5), 1.0) for a in standard(1)(v)], [-.5, -.4629100, 0, 1],
              {"eps": 0.0, "low": -.5, "high": 1.0})
    hand.both("34_areal_clipped", "rewards into [-20, 20]", [[-25.0, 1.0, 3.0, 30.0]],
              lambda v: standard(1, 1e-5)([min(max(x, -20.0), 20.0) for x in v]), [-1.2811859, 0, .1220177, 1.1591682],
              preset="areal")
    hand.both("34_areal_loo_clipped", "the same; both divided by 3/4", [[-25.0, 1.0, 3.0, 30.0]],
              lambda v: standard(1, 7.5e-6)([min(max(x, -20.0), 20.0) for x in v]), [-1.2811861, 0, .1220177, 1.1591683],
              preset="areal.loo")


def sets(golden):
    golden.case(FOLDER, "separate_nan", OP, {"scale": "none", "columns": "separate", "groups": {"group_size": 2}},
                {"in.rewards": Tensor("F32", [[1.0, NAN], [2.0, 3.0]]),
                 "out.advantages": Tensor("F32", [[-.5, NAN], [.5, NAN]]), "out.group_flags": Tensor("U8", [[0, 8]]),
                 "out.keep": Tensor("U8", [[1, 0], [1, 0]])}, "a NaN stays in its column")
    golden.case(FOLDER, "given_moments_separate", OP,
                {"center_level": "given", "scale_level": "given", "ddof": 0, "eps": 0.0, "columns": "separate",
                 "groups": {"group_size": 2}},
                {"in.rewards": Tensor("F32", [[4.0, 1.0], [6.0, 3.0]]),
                 "in.moments": Tensor("F64", [[10.0, 5.0, 40.0, 0.0, 9.0], [4.0, 1.0, 64.0, -3.0, 5.0]]),
                 "out.advantages": Tensor("F32", [[-.5, 0.0], [.5, .5]])}, "a record for each column")


def spread(golden):
    def case(name, note, offsets, out, counter=None, index=None, desc=None):
        tensors = {"in.values": Tensor("F32", [1.5, -2.0]), "in.segments.offsets": Tensor("I64", offsets),
                   "out.out": Tensor("F32", out)}
        if index:
            tensors["in.segments.index"] = Tensor("I32", index)
        if counter:
            tensors["out.diagnostics." + counter] = Tensor("U64", [1])
        golden.case("advantage_spread", name, "advantage_spread", desc or {}, tensors, note)

    case("spread_indexed", "positions are tokens by the index; two are in no segment", [0, 2, 3], [-2.0, 1.5, 0.0, 0.0, 1.5],
         index=[4, 1, 0, 2, 3])
    case("spread_bad_index", "no such token, and none that names 4", [0, 2, 3], [-2.0, 1.5, 0.0, 0.0, FILL32], "bad_index",
         index=[9, 1, 0, 2, 3])
    case("spread_too_large", "a segment above max_size is NaN", [0, 3, 5], [NAN, NAN, NAN, -2.0, -2.0], "group_too_large",
         desc={"segments": {"max_size": 2}})
    case("spread_bad_offsets", "a segment that leaves the tokens writes nothing", [0, 2, 9], [1.5, 1.5, FILL32, FILL32, FILL32],
         "bad_offsets")


def write(golden):
    hand = Hand(golden)
    outside(hand)
    clips(hand)
    sets(golden)
    spread(golden)
