// The one list of operations. Included with MERIT_OPERATION(op) defined.
MERIT_OPERATION(score_forward)
MERIT_OPERATION(advantage_group)
MERIT_OPERATION(group_index)
MERIT_OPERATION(advantage_spread)
MERIT_OPERATION(preference_list)
MERIT_OPERATION(preference_pair)
MERIT_OPERATION(preference_ordinal)
MERIT_OPERATION(dominance_pairwise)
