#include <math.h>
#include <stdio.h>

#include "bench_score_readout.h"
#include "movers.h"
#include "random.h"

static const char *const presets[] = {"dpa", "armo", "oprm", "qrm"};
const bench_axis readout_axes[] = {
    {"preset", presets}, {"rows", NULL}, {"columns", NULL}, {NULL, NULL}};

const bench_sweep readout_sweeps[] = {
    {{{READOUT_ARMO}, {4096}, {19}}, BENCH_QUICK},
    {{{READOUT_DPA}, {524288}, {5}}, 0},
    {{{READOUT_ARMO}, {65536}, {19}}, BENCH_EACH_ISA},
    {{{READOUT_ARMO}, {131072}, {19}}, BENCH_FULL | BENCH_EACH_ISA},
    {{{READOUT_OPRM}, {65536}, {9}}, 0},
    {{{READOUT_OPRM}, {262144}, {9}}, BENCH_FULL},
    {{{READOUT_QRM}, {32768}, {95}}, 0},
    {{{0}}, 0},
};

static const double tail = 0.25; // alpha of qrm

int readout_attributes(const bench_point *p)
{
    return p->v[READOUT_PRESET] == READOUT_QRM ? READOUT_ATTRIBUTES : 1;
}

bool readout_has_second(const bench_point *p)
{
    return p->v[READOUT_PRESET] == READOUT_DPA || p->v[READOUT_PRESET] == READOUT_ARMO;
}

typedef struct generated {
    uint64_t seed;
    float *values[2];
} generated;

static void generate(void *state, int64_t begin, int64_t end)
{
    const generated *const g = state;
    for (int n = 0; n < 2 && g->values[n] != NULL; n++) {
        for (int64_t i = begin; i < end; i++)
            g->values[n][i] = 2 * bench_normal(g->seed + (uint64_t)n, (uint64_t)i);
    }
}

void readout_add_inputs(bench_case *c)
{
    const int64_t count = c->point.v[READOUT_ROWS] * c->point.v[READOUT_COLUMNS];
    const bool both = readout_has_second(&c->point);
    generated state = {.seed = c->seed};
    void *memory;
    bench_add_input(c, (size_t)count * sizeof(float), &memory);
    state.values[0] = memory;
    bench_add_input(c, both ? (size_t)count * sizeof(float) : sizeof(float), &memory);
    state.values[1] = both ? memory : NULL;
    bench_parallel(64, count, 1, generate, &state);
    snprintf(c->data, sizeof c->data, "generated");
}

merit_status readout_desc(const bench_point *p, merit_score_readout_desc *desc)
{
    merit_status status = merit_score_readout_desc_init(desc, sizeof *desc);
    if (status != MERIT_STATUS_OK) return status;
    status = merit_score_readout_preset(presets[p->v[READOUT_PRESET] - 1], desc);
    desc->num_rows = p->v[READOUT_ROWS];
    desc->num_columns = (int32_t)p->v[READOUT_COLUMNS];
    if (p->v[READOUT_PRESET] == READOUT_DPA) desc->direction_stride = desc->num_columns;
    if (p->v[READOUT_PRESET] == READOUT_ARMO) desc->scale = 1.5f;
    if (p->v[READOUT_PRESET] == READOUT_QRM) desc->alpha = (float)tail;
    return status;
}

// Rows --------------------------------------------------------------------------------------------

static double shares(const float *y, int64_t K, double temperature, double *p)
{
    double max = (double)y[0], sum = 0;
    for (int64_t k = 1; k < K; k++)
        max = fmax(max, (double)y[k]);
    for (int64_t k = 0; k < K; k++)
        sum += p[k] = exp(((double)y[k] - max) / temperature);
    for (int64_t k = 0; k < K; k++)
        p[k] /= sum;
    return (max / temperature) + log(sum);
}

// Places of the values in rising order, ties in the order they have.
static void sort_places(const float *q, int64_t N, int *place)
{
    for (int64_t n = 0; n < N; n++) {
        int64_t at = n;
        for (; at > 0 && q[place[at - 1]] > q[n]; at--)
            place[at] = place[at - 1];
        place[at] = (int)n;
    }
}

// Of level n inside (0, tail].
static double mass(int64_t n, int64_t N)
{
    const double low = (double)n / (double)N, high = (double)(n + 1) / (double)N;
    return fmax(fmin(high, tail) - low, 0);
}

static int64_t quartile(double tau, int64_t N)
{
    return (int64_t)ceil(tau * (double)N) - 1;
}

static double dot(const float *a, const float *b, int64_t K, double *size)
{
    double sum = 0;
    *size = 0;
    for (int64_t k = 0; k < K; k++) {
        sum += (double)a[k] * (double)b[k];
        *size += fabs((double)a[k] * (double)b[k]);
    }
    return sum;
}

void readout_of_row(const bench_point *p, const float *x, const float *second, readout_row *out)
{
    const int64_t K = p->v[READOUT_COLUMNS];
    double length;
    switch (p->v[READOUT_PRESET]) {
    case READOUT_DPA:
        out->reward = dot(x, second, K, &out->size);
        length = sqrt(dot(second, second, K, &length));
        out->reward /= length;
        out->size /= length;
        break;
    case READOUT_ARMO:
        shares(second, K, 10, out->share);
        out->reward = out->size = 0;
        for (int64_t k = 0; k < K; k++) {
            out->reward += 1.5 * out->share[k] * (double)x[k];
            out->size += 1.5 * out->share[k] * fabs((double)x[k]);
        }
        break;
    case READOUT_OPRM:
        length = shares(x, K, 1, out->share);
        out->mean[0] = out->variance = out->entropy = 0;
        for (int64_t k = 0; k < K; k++) {
            out->mean[0] += out->share[k] * (double)(k + 1);
            out->entropy -= out->share[k] * ((double)x[k] - length);
        }
        for (int64_t k = 0; k < K; k++) {
            const double d = (double)(k + 1) - out->mean[0];
            out->variance += out->share[k] * d * d;
        }
        break;
    default:
        for (int a = 0; a < READOUT_ATTRIBUTES; a++) {
            const int64_t N = K / READOUT_ATTRIBUTES;
            const float *const q = x + a * N;
            int place[READOUT_MAX_COLUMNS];
            sort_places(q, N, place);
            out->mean[a] = out->cvar[a] = 0;
            for (int64_t n = 0; n < N; n++) {
                out->mean[a] += (double)q[n] / (double)N;
                out->cvar[a] += mass(n, N) * (double)q[place[n]] / tail;
            }
            out->iqr[a] = (double)q[place[quartile(.75, N)]] - (double)q[place[quartile(.25, N)]];
        }
    }
}

void readout_slopes_of_row(const bench_point *p, const float *x, const float *second,
                           const float *g, readout_slopes *out)
{
    const int64_t K = p->v[READOUT_COLUMNS];
    const double up = (double)g[0];
    readout_row row;
    double size;
    readout_of_row(p, x, second, &row);
    switch (p->v[READOUT_PRESET]) {
    case READOUT_DPA: {
        const double length = sqrt(dot(second, second, K, &size));
        for (int64_t k = 0; k < K; k++) {
            const double unit = (double)second[k] / length;
            out->inputs[k] = up * unit;
            out->second[k] = up * ((double)x[k] - row.reward * unit) / length;
            out->input_size[k] = 0;
            out->second_size[k] =
                fabs(up) * (fabs((double)x[k]) + fabs(row.reward * unit)) / length;
        }
        break;
    }
    case READOUT_ARMO:
        for (int64_t k = 0; k < K; k++) {
            const double share = 1.5 * up * row.share[k], mean = row.reward / 1.5;
            out->inputs[k] = share;
            out->second[k] = share * ((double)x[k] - mean) / 10;
            out->input_size[k] = 0;
            out->second_size[k] = fabs(share) * (fabs((double)x[k]) + row.size) / 10;
        }
        break;
    case READOUT_OPRM:
        for (int64_t k = 0; k < K; k++) {
            const double d = (double)(k + 1) - row.mean[0], share = row.share[k];
            const double of_entropy = log(share) + row.entropy;
            out->inputs[k] = share * up * (d + d * d - row.variance - of_entropy);
            out->input_size[k] =
                share * fabs(up) *
                ((double)(k + 1) + row.mean[0] + d * d + row.variance + fabs(of_entropy) + 1);
        }
        break;
    default:
        for (int a = 0; a < READOUT_ATTRIBUTES; a++) {
            const int64_t N = K / READOUT_ATTRIBUTES;
            int place[READOUT_MAX_COLUMNS];
            sort_places(x + a * N, N, place);
            for (int64_t n = 0; n < N; n++) {
                const double quartiles = (n == quartile(.75, N)) - (double)(n == quartile(.25, N));
                const int64_t to = a * N + place[n];
                out->inputs[to] = (double)g[a] * (1 / (double)N + mass(n, N) / tail + quartiles);
                out->input_size[to] = 2 * fabs((double)g[a]);
            }
        }
    }
}
