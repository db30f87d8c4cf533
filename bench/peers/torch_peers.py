"""PyTorch, eager and compiled: each operation as one writes it with tensors, gradients by autograd."""
import torch_advantage
import torch_dominance
import torch_policy
import torch_preference
import torch_readout
import torch_score
import torch_subset
from torch_peer import without


def across_ranks(_axes, _device):
    yield from without("the ranks are threads of one process, torch.distributed has a process for each")


FAMILIES = {f.__name__: f for f in (
    torch_score.score_forward, torch_score.score_backward, torch_score.score_finish, torch_score.score_regression,
    torch_readout.score_readout_forward, torch_readout.score_readout_backward,
    torch_advantage.advantage_group, torch_advantage.advantage_spread, torch_advantage.group_index,
    torch_preference.preference_pair, torch_preference.preference_list,
    torch_preference.preference_ordinal,
    torch_dominance.dominance_pairwise, torch_dominance.dominance_quantile_huber,
    torch_dominance.dominance_quantile_sort, torch_subset.dominance_subset, torch_subset.dominance_quantile_target,
    torch_policy.policy_logprob_forward, torch_policy.policy_logprob_backward, torch_policy.policy_loss,
    torch_policy.policy_value_loss, torch_policy.policy_logprob_merge, torch_policy.policy_count)}
FAMILIES.update(dict.fromkeys((
    "comm_fold_moments", "comm_fold_sums", "comm_fold_stats", "comm_gather_rows", "comm_policy_logprob", "comm_score",
    "comm_score_gradients"), across_ranks))


def peers(op, axes, device):
    return FAMILIES[op](axes, device) if op in FAMILIES else ()
