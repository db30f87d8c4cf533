// What a test tells the emulator and asks of it. C and C++.
#ifndef MERIT_SIMT_CONTROL_H
#define MERIT_SIMT_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The order in which threads and blocks run, from here on; MERIT_SIMT_SEED sets the first one. The
// low three bits choose the policy: 0, 1, 4, 5 run whole warps ahead in a random order that is drawn
// anew at each barrier, 2 and 6 draw uniformly, 3 and 7 are the descending and the ascending order.
void simt_set_seed(uint64_t seed);

// The emulated device: its multiprocessors (first: MERIT_SIMT_SMS or 3), and how many of it there are
// (first: 1).
void simt_set_multiprocessors(int count);
void simt_set_devices(int count);

// What the last launch of this thread that failed said; "" if none did.
const char *simt_last_report(void);
void simt_clear_report(void);
// Reports go to stderr unless quiet; with abort (first: MERIT_SIMT_ABORT) they end the process.
void simt_set_quiet(int quiet);
void simt_set_abort(int abort_on_report);

// The k-th call of the runtime or launch from here on (1: the next) fails with `code`; 0 disarms. The
// calls since then are counted, armed or not.
void simt_set_fault(uint64_t k, int code);
uint64_t simt_call_count(void);

// What a library beside the emulator has started on a stream: `pending` is asked whenever a stream is
// queried, and returns 1 as long as it is not done. NULL (first): nothing ever is.
void simt_set_pending(int (*pending)(void *stream));
void simt_set_capturing(int capturing); // whether streams say that they are captured

// Since the start of the process, or the last reset. Refused launches do not count.
uint64_t simt_launch_count(void);
uint64_t simt_block_count(void);
uint64_t simt_switch_count(void); // of one fiber to another
size_t simt_max_dynamic_smem(void);
void simt_reset_counters(void);

// Device memory without the CUDA names: filled with 0xff, freed by simt_free.
void *simt_malloc(size_t bytes);
void simt_free(void *memory);

#ifdef __cplusplus
}
#endif

#endif
