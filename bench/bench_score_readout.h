// What the benches of both passes of score_readout share: their points, inputs and readouts of a row in
// double, by the textbook.
#ifndef MERIT_BENCH_SCORE_READOUT_H
#define MERIT_BENCH_SCORE_READOUT_H

#include "bench.h"

enum { READOUT_PRESET, READOUT_ROWS, READOUT_COLUMNS }; // axes
enum { READOUT_DPA = 1, READOUT_ARMO, READOUT_OPRM, READOUT_QRM }; // presets
enum { READOUT_INPUTS, READOUT_SECOND, READOUT_THIRD }; // arrays; SECOND: directions or gate logits
enum { READOUT_MAX_COLUMNS = 128, READOUT_ATTRIBUTES = 5 };

extern const bench_axis readout_axes[];
extern const bench_sweep readout_sweeps[];

typedef struct readout_row {
    double reward, variance, entropy;
    double mean[READOUT_ATTRIBUTES], cvar[READOUT_ATTRIBUTES], iqr[READOUT_ATTRIBUTES];
    double share[READOUT_MAX_COLUMNS]; // probabilities
    double size; // of the terms of reward
} readout_row;

typedef struct readout_slopes {
    double inputs[READOUT_MAX_COLUMNS], second[READOUT_MAX_COLUMNS];
    double input_size[READOUT_MAX_COLUMNS], second_size[READOUT_MAX_COLUMNS]; // of their terms
} readout_slopes;

int readout_attributes(const bench_point *p); // outputs per row, of each name
bool readout_has_second(const bench_point *p);

// The inputs of a point; the caller adds the rest.
void readout_add_inputs(bench_case *c);
merit_status readout_desc(const bench_point *p, merit_score_readout_desc *desc);

void readout_of_row(const bench_point *p, const float *x, const float *second, readout_row *out);

// g [attributes]: upstream of every output that the preset has one of per attribute.
void readout_slopes_of_row(const bench_point *p, const float *x, const float *second,
                           const float *g, readout_slopes *out);

#endif
