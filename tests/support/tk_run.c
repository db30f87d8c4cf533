// Runs a test body on the backends of its kind.
#include <stdlib.h>
#include <string.h>

#include "../../host/internal.h"
#include "tk_memory.h"

#ifdef TK_HAVE_SIMT
#include "../simt/simt_control.h"
extern const merit_backend merit_backend_simt;
#endif

static merit_context *create(const merit_backend *backend, int num_threads)
{
    merit_context_desc desc;
    merit_context_desc_init(&desc, sizeof desc);
    desc.num_threads = num_threads;
    merit_context *ctx = NULL;
    const merit_status status = merit_context_create_on(backend, &desc, &ctx);
    cr_assert(status == MERIT_STATUS_OK, "no context on %s: %s", backend->name,
              merit_context_last_error(NULL));
    return ctx;
}

merit_context *tk_context(tk_fixture *tk, int num_threads)
{
    return create(tk->ctx->backend, num_threads);
}

static void run_on(const merit_backend *backend, tk_kind kind, int num_threads, tk_journal *journal,
                   tk_body *body)
{
    tk_fixture tk = {.kind = kind, .on_device = strcmp(backend->name, "cuda") == 0};
    tk.emulated = strcmp(backend->name, "simt") == 0;
    tk.is_first_run = !journal->replaying;
    tk.ctx = create(backend, num_threads);
    tk.memory = tk_memory_create(tk.on_device);
    tk.journal = journal;
    tk_case("%s", backend->name);
    body(&tk);
    tk_release(&tk);
    if (journal->replaying && journal->position != journal->length) {
        tk_fail(__FILE__, __LINE__, "%s read back less than the first run", backend->name);
    }
    tk_memory_destroy(tk.memory);
    merit_context_destroy(tk.ctx);
    journal->replaying = 1;
    journal->position = 0;
}

static void run_cpu(tk_journal *journal, tk_body *body)
{
    static const int threads[] = {3, 1, 0};
    int run = 0;
    const merit_backend *backend;
    for (int i = 0; (backend = merit_backend_at(i)) != NULL; i++) {
        if (backend->on_device || !merit_backend_runs_here(backend)) continue;
        run_on(backend, TK_CPU, threads[run % 3], journal, body);
        run++;
    }
    cr_assert(run > 0, "no CPU backend runs here");
}

#ifdef TK_HAVE_SIMT
int tk_launches(tk_fixture *tk)
{
    static uint64_t seen;
    const uint64_t count = simt_launch_count();
    const uint64_t fresh = count - seen;
    seen = count;
    return tk->emulated ? (int)fresh : -1;
}

static void run_simt(tk_journal *journal, tk_body *body)
{
    // Warps ahead in random order, threads at random.
    // Sanitizers look at accesses, which the order of threads hardly changes: one is enough for them.
#ifdef __SANITIZE_ADDRESS__
    static const uint64_t seeds[] = {9};
#else
    static const uint64_t seeds[] = {9, 18};
#endif
    run_on(merit_backend_best_cpu(NULL), TK_SIMT, 2, journal, body);
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        simt_set_seed(seeds[i]);
        run_on(&merit_backend_simt, TK_SIMT, 1, journal, body);
    }
}
#else
int tk_launches(tk_fixture *tk)
{
    (void)tk;
    return -1;
}

static void run_simt(tk_journal *journal, tk_body *body)
{
    (void)journal, (void)body;
    cr_skip_test("this build has no emulated CUDA backend");
}
#endif

static void run_cuda(tk_journal *journal, tk_body *body)
{
    const char *missing = "this build has no CUDA backend";
#ifdef TK_HAVE_CUDA
    missing = tk_cuda_missing();
#endif
    if (missing != NULL) {
        const char *const required = getenv("MERIT_REQUIRE_CUDA");
        cr_assert(required == NULL || strcmp(required, "1") != 0, "MERIT_REQUIRE_CUDA is 1: %s",
                  missing);
        cr_skip_test("no CUDA: %s", missing);
    }
    run_on(merit_backend_best_cpu(NULL), TK_CUDA, 2, journal, body);
    run_on(merit_backend_by_name("cuda"), TK_CUDA, 1, journal, body);
}

void tk_run(tk_kind kind, tk_body *body)
{
    tk_journal journal = {0};
    switch (kind) {
    case TK_CPU: run_cpu(&journal, body); break;
    case TK_SIMT: run_simt(&journal, body); break;
    case TK_CUDA: run_cuda(&journal, body); break;
    }
    free(journal.bytes);
}
