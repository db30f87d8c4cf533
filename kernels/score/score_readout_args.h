// Arguments of the launchers of score_readout_forward and score_readout_backward.
#ifndef MERIT_SCORE_READOUT_ARGS_H
#define MERIT_SCORE_READOUT_ARGS_H

#include <merit/score.h>

enum { MERIT_READOUT_MAX_COLUMNS = 1024 };

// The inputs of both directions under the names of the forward pass; outputs of one direction alone.
typedef struct merit_score_readout_args {
    merit_score_readout_desc d; // strides resolved, num_logits too
    merit_score_readout_forward_io io; // backward: outputs NULL
    merit_score_readout_backward_io grad; // backward: gradients in and out
} merit_score_readout_args;

typedef struct merit_score_readout_forward_args {
    merit_score_readout_args a;
} merit_score_readout_forward_args;

typedef struct merit_score_readout_backward_args {
    merit_score_readout_args a;
} merit_score_readout_backward_args;

#endif
