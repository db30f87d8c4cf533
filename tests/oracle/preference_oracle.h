// preference_pair in textbook form and long double. Shares nothing with the kernels.
//
// z is formed as the header says: binary64 from the stored inputs, rounded to binary32 for LOGISTIC,
// EXPONENTIAL and SIGMOID. All that follows is exact for practical purposes, and each result comes
// with the distance that the roundings of a call may take it from there.
#ifndef MERIT_TESTS_PREFERENCE_ORACLE_H
#define MERIT_TESTS_PREFERENCE_ORACLE_H

#include <merit/merit.h>

enum { PO_COUNTED = 1, PO_BEYOND = 2 };
enum { PO_MAX_ROUTES = 32, PO_MAX_BINS = 64, PO_TILE = 2048 };

typedef struct po_number {
    long double value;
    long double noise; // of a call that follows the header, before it stores the result
} po_number;

// One pair -----------------------------------------------------------------------------------------

typedef struct po_point {
    long double chosen, rejected, ref_chosen, ref_rejected;
    long double chosen_length, rejected_length; // 1 without lengths
    long double margin; // of margins
    long double signal; // betas[i] or beta_signal[i]
    long double p; // that chosen wins; 1/2 for a tie
    long double log_tie, unary_shift;
    int is_exact; // 1: no rounding at all, as finite differences need
} po_point;

typedef struct po_pair {
    long double x_c, x_r, d, z, beta;
    po_number loss; // L
    po_number by_chosen, by_rejected; // dL / dchosen, dL / drejected
    po_number by_tie; // dL / dlog_tie
    po_number probability; // of pair_probability
    int overflows; // PO_COUNTED: an EXPONENTIAL left binary32; PO_BEYOND: an exponential its range
} po_pair;

// The page's formulas for one valid pair.
po_pair po_evaluate(const merit_preference_pair_desc *desc, const po_point *point);

// phi and its derivative. is_binary32: evaluated to binary32 accuracy, as the header says of three
// links.
typedef struct po_phi {
    po_number value, slope;
    int overflows;
} po_phi;
po_phi po_link(int32_t link, long double link_param, long double z);

long double po_sp(long double x); // log(1 + e^x)
long double po_s(long double x); // 1 / (1 + e^-x)

// A call -------------------------------------------------------------------------------------------

typedef struct po_metrics {
    long long pairs, zero_weight, decided, correct_strict, tied, label_ties, invalid;
    po_number weight, loss, difference, difference_squared, chosen, rejected;
    long double min_score, max_score;
} po_metrics;

typedef struct po_bin {
    long long count, unsure; // unsure: this near to a border, not in count
    po_number confidence;
    double hit;
} po_bin;

typedef struct preference_oracle {
    int64_t num_pairs, num_tiles;
    int num_routes;
    po_number *pair_loss, *probability, *grad_chosen, *grad_rejected; // [N]
    unsigned char *valid; // [N]
    po_number loss, grad_tie, route_sum[PO_MAX_ROUTES];
    po_number *tiles; // [num_tiles * num_routes]
    po_metrics metrics[PO_MAX_ROUTES];
    po_bin *bins; // [num_routes * calibration_bins]
    long long counters[MERIT_NUM_COUNTERS];
    po_pair *pairs; // [N], zero where a pair is absent or invalid
} preference_oracle;

// Host arrays. Outputs of io are looked at only for whether ZERO_DENOMINATOR counts.
preference_oracle *preference_oracle_run(const merit_preference_pair_desc *desc,
                                         const merit_preference_pair_io *io);
void preference_oracle_free(preference_oracle *oracle);

// Element i of an array of F32, BF16 or F16.
double po_element(const void *array, int32_t dtype, int64_t i);

#endif
