// The steps of kernels/score.
#include "fault_steps.h"

static merit_status scores(fault_world *w, int64_t tokens)
{
    merit_score_desc desc;
    merit_score_desc_init(&desc, sizeof desc);
    desc.num_tokens = tokens;
    desc.hidden_size = 8;
    desc.hidden_dtype = MERIT_DTYPE_F32;
    desc.positions = MERIT_POSITIONS_ALL;
    const merit_score_forward_io io = {.struct_size = sizeof io,
                                       .hidden = w->rewards,
                                       .weight = w->rewards,
                                       .scores = w->advantages,
                                       .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_score_forward_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_score_forward(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status scores_few(fault_world *w)
{
    return scores(w, 2);
}

static merit_status scores_many(fault_world *w)
{
    return scores(w, LARGE_GROUP / 8);
}

static merit_status score_gradients(fault_world *w, int32_t layout, int64_t tokens)
{
    merit_score_desc desc;
    merit_score_desc_init(&desc, sizeof desc);
    desc.num_tokens = tokens;
    desc.hidden_size = 2;
    desc.hidden_dtype = MERIT_DTYPE_F32;
    desc.positions = MERIT_POSITIONS_ALL;
    desc.grad_layout = layout;
    const merit_score_backward_io io = {.struct_size = sizeof io,
                                        .hidden = w->rewards,
                                        .weight = w->rewards,
                                        .grad_scores = w->rewards,
                                        .grad_hidden = w->advantages,
                                        .grad_weight = w->advantages + 2 * tokens,
                                        .diagnostics = w->diagnostics};
    size_t bytes;
    const merit_status status = merit_score_backward_workspace(w->ctx, &desc, &bytes);
    if (status != MERIT_STATUS_OK) return status;
    return merit_score_backward(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status score_rows(fault_world *w)
{
    return score_gradients(w, MERIT_GRAD_LAYOUT_ROWS, 3 * 2048);
}

static merit_status score_dense(fault_world *w)
{
    return score_gradients(w, MERIT_GRAD_LAYOUT_DENSE, 64);
}

static merit_status readout_forward(fault_world *w)
{
    merit_score_readout_desc desc;
    merit_score_readout_desc_init(&desc, sizeof desc);
    desc.num_rows = 8;
    const merit_score_readout_forward_io io = {.struct_size = sizeof io,
                                               .inputs = w->rewards,
                                               .direction = w->rewards,
                                               .reward = w->advantages};
    return merit_score_readout_forward(w->ctx, &desc, &io, NULL, 0, NULL);
}

static merit_status readout_backward(fault_world *w)
{
    merit_score_readout_desc desc;
    merit_score_readout_desc_init(&desc, sizeof desc);
    desc.num_rows = 8;
    const merit_score_readout_backward_io io = {.struct_size = sizeof io,
                                                .inputs = w->rewards,
                                                .direction = w->rewards,
                                                .grad_reward = w->rewards,
                                                .grad_inputs = w->advantages};
    return merit_score_readout_backward(w->ctx, &desc, &io, NULL, 0, NULL);
}

static merit_status regression(fault_world *w)
{
    merit_score_regression_desc desc;
    merit_score_regression_desc_init(&desc, sizeof desc);
    desc.num_rows = 5000;
    const merit_score_regression_io io = {.struct_size = sizeof io,
                                          .scores = w->rewards,
                                          .labels = w->rewards,
                                          .loss = w->loss,
                                          .grad_scores = w->advantages};
    return merit_score_regression(w->ctx, &desc, &io, w->workspace, WORKSPACE_BYTES, NULL);
}

static merit_status finish(fault_world *w)
{
    merit_score_finish_desc desc;
    merit_score_finish_desc_init(&desc, sizeof desc);
    desc.num_positions = 8;
    const merit_score_finish_io io = {
        .struct_size = sizeof io, .tile_sums = (const double *)w->ids, .scores = w->advantages};
    return merit_score_finish(w->ctx, &desc, &io, NULL, 0, NULL);
}

const fault_step fault_score_steps[] = {
    {"merit_score_forward", "few positions", scores_few, 0},
    {"merit_score_forward", "many positions", scores_many, 0},
    {"merit_score_backward", "rows", score_rows, 0},
    {"merit_score_backward", "dense rows", score_dense, 0},
    {"merit_score_finish", "tile sums", finish, 0},
    {"merit_score_readout_forward", "directions", readout_forward, 0},
    {"merit_score_readout_backward", "directions", readout_backward, 0},
    {"merit_score_regression", "labels", regression, 0},
    {0},
};
