// dominance_quantile_sort on public returns (MERIT_DATA_DIR).
#include <stdlib.h>

#include "sort_case.h"
#include "tk_data.h"

// The quantiles of 500 returns of each agent and game, as published.
TK_TEST(dominance_quantile_sort_data, dopamine_quantiles_are_those_published)
{
    enum { GAMES = 30, AGENTS = 6, RUNS = 5, ITERATIONS = 199, LAST = 100, LEVELS = 5 };
    static const double tau[LEVELS] = {.05, .25, .5, .75, .95};
    tk_require_data();
    const int games = tk->kind == TK_SIMT ? 4 : GAMES;
    tk_npy returns = tk_npy_read("dopamine_returns/returns.npy");
    tk_npy expected = tk_npy_read("dopamine_returns/expected_quantiles.npy");
    cr_assert(returns.count == GAMES * AGENTS * RUNS * ITERATIONS);
    cr_assert(expected.count == GAMES * LEVELS * AGENTS);
    float *const values = malloc(sizeof *values * GAMES * AGENTS * RUNS * LAST);
    for (int i = 0; i < GAMES * AGENTS * RUNS * LAST; i++) {
        values[i] = (float)returns.values[i / LAST * ITERATIONS + ITERATIONS - LAST + i % LAST];
    }
    sort_case c = sort_make(values, games * AGENTS, RUNS * LAST);
    c.d.tau = tau, c.d.num_taus = LEVELS;
    sort_result r = sort_run(tk, &c);
    for (int i = 0; i < games * AGENTS * LEVELS; i++) {
        const int game = i / (AGENTS * LEVELS), agent = i / LEVELS % AGENTS, q = i % LEVELS;
        const double value = expected.values[(q * GAMES + game) * AGENTS + agent];
        TK_EXPECT(r.sorted[i] == (float)value, "quantile %d of agent %d, game %d is %.9g, not %.9g",
                  q, agent, game, (double)r.sorted[i], value);
    }
    sort_free(&r);
    free(values);
    tk_npy_free(&returns), tk_npy_free(&expected);
}
