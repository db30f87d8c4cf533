#!/usr/bin/env python3
"""Writes the golden cases.

usage: make_golden.py [--bits DIR]

Without arguments: the cases whose expected values are worked out here (by hand, from textbook formulas,
from the statuses of the headers), beside this script. They never come from merit.

--bits DIR: cases without results. What merit computes today is pinned by
    merit_verify --backend cpu --record tests/golden/bits DIR
after every backend has been seen to agree. Counters in DIR are 0 and fall short: those of the call are recorded. A
change of numerics bumps merit_numerics_version() and records anew.
"""
import os
import sys

import golden_advantage
import golden_advantage_outside
import golden_bits
import golden_bits_dominance
import golden_bits_list
import golden_bits_logprob_options
import golden_bits_policy
import golden_bits_policy_loss
import golden_bits_policy_loss_options
import golden_bits_preference
import golden_bits_presets
import golden_bits_quantile
import golden_bits_score
import golden_bits_score_options
import golden_degenerate
import golden_dominance
import golden_dominance_options
import golden_dominance_quantile
import golden_groups
import golden_policy_logprob
import golden_policy_loss
import golden_preference_list
import golden_preference_pair
import golden_presets
import golden_rejected
import golden_score
import golden_score_readout
from golden_file import Golden


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "--bits":
        golden = Golden(arguments[1])
        golden_bits.write(golden)
        golden_bits_dominance.write(golden)
        golden_bits_quantile.write(golden)
        golden_bits_preference.write(golden)
        golden_bits_list.write(golden)
        golden_bits_score.write(golden)
        golden_bits_score_options.write(golden)
        golden_bits_policy.write(golden)
        golden_bits_logprob_options.write(golden)
        golden_bits_policy_loss.write(golden)
        golden_bits_policy_loss_options.write(golden)
        golden_bits_presets.write(golden)
    elif not arguments:
        golden = Golden(os.path.dirname(os.path.abspath(__file__)))
        for family in (golden_advantage, golden_advantage_outside, golden_degenerate, golden_dominance,
                       golden_dominance_options, golden_dominance_quantile, golden_rejected, golden_groups,
                       golden_preference_list, golden_preference_pair, golden_presets, golden_score, golden_score_readout,
                       golden_policy_logprob, golden_policy_loss):
            family.write(golden)
    else:
        sys.exit(__doc__)
    size = sum(map(os.path.getsize, golden.written))
    print(f"{len(golden.written)} cases, {size} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
