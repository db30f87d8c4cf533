// The defaults of score_readout.
#ifndef MERIT_SCORE_READOUT_PRESETS_H
#define MERIT_SCORE_READOUT_PRESETS_H

#include <merit/score.h>

extern const merit_score_readout_desc merit_score_readout_defaults;

#endif
