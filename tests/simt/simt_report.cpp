// What went wrong: the launch, the block and thread, the sentence, and where every other thread is.
#include "simt_executor.h"

#include <atomic>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static thread_local char report[16384];
static std::atomic<int> quiet{0};
static std::atomic<int> abort_on_report{getenv("MERIT_SIMT_ABORT") != nullptr};

static void append_list(const char *format, va_list list)
{
    const size_t length = strlen(report);
    vsnprintf(report + length, sizeof report - length, format, list);
}

static void append(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void append(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    append_list(format, list);
    va_end(list);
}

const char *simt_base_name(const char *path)
{
    const char *const slash = strrchr(path, '/');
    return slash == nullptr ? path : slash + 1;
}

const char *simt_operation_name(simt_operation operation)
{
    static const char *const names[] = {
        "__syncthreads",     "__syncthreads_or",  "__syncthreads_and", "__syncthreads_count",
        "__syncwarp",        "__shfl_sync",       "__shfl_up_sync",    "__shfl_down_sync",
        "__shfl_xor_sync",   "__ballot_sync",     "__any_sync",        "__all_sync",
        "__match_any_sync",  "__reduce_add_sync", "__reduce_min_sync", "__reduce_min_sync",
        "__reduce_max_sync", "__reduce_max_sync", "__reduce_and_sync", "__reduce_or_sync",
        "__reduce_xor_sync"};
    return names[operation];
}

// Where threads are -------------------------------------------------------------------------------

static void append_lanes(unsigned lanes)
{
    const char *separator = "";
    for (int lane = 0; lane < SIMT_LANES; lane++) {
        if ((lanes >> lane & 1) == 0) continue;
        int last = lane;
        while (last + 1 < SIMT_LANES && (lanes >> (last + 1) & 1) != 0) {
            last++;
        }
        append(last > lane ? "%s%d-%d" : "%s%d", separator, lane, last);
        separator = ",";
        lane = last;
    }
}

static bool same_wait(const simt_wait &a, const simt_wait &b)
{
    if (a.file == nullptr || b.file == nullptr) return a.file == b.file;
    return a.operation == b.operation && a.line == b.line && a.mask == b.mask &&
           strcmp(a.file, b.file) == 0;
}

static void append_place(const simt_warp_state &warp, int lane, const simt_wait &wait)
{
    const bool exited = (warp.exited >> lane & 1) != 0, ready = (warp.ready >> lane & 1) != 0;
    append(exited ? "returned" : ready ? "can run" : "waits");
    if (wait.file == nullptr) return;
    append(exited || ready ? ", last seen at " : " at ");
    append("%s, %s:%d", simt_operation_name(wait.operation), simt_base_name(wait.file), wait.line);
    if (wait.mask != 0) append(", mask 0x%08x", wait.mask);
}

static void append_warp(unsigned index)
{
    const simt_warp_state &warp = simt_state.warp[index];
    const simt_cuda_thread *const lanes = &simt_state.thread[index * SIMT_LANES];
    for (unsigned rest = 0xffffffffu; rest != 0;) {
        const int lane = __builtin_ctz(rest);
        unsigned same = 0;
        for (int other = lane; other < SIMT_LANES; other++) {
            const unsigned both = 1u << lane | 1u << other;
            const bool equal = ((warp.ready & both) == 0 || (warp.ready & both) == both) &&
                               ((warp.exited & both) == 0 || (warp.exited & both) == both) &&
                               same_wait(lanes[lane].wait, lanes[other].wait);
            if (equal) same |= 1u << other;
        }
        append("    warp %u lanes ", index);
        append_lanes(same & rest);
        append(": ");
        append_place(warp, lane, lanes[lane].wait);
        append("\n");
        rest &= ~same;
    }
}

// The report --------------------------------------------------------------------------------------

static void write_report(simt_report_detail detail, const char *format, va_list list)
{
    const simt_executor &s = simt_state;
    const dim3 grid = simt_running.grid, block = simt_running.block;
    report[0] = '\0';
    append("simt: %s <<<(%u,%u,%u), (%u,%u,%u), %zu>>>, seed %llu", s.name, grid.x, grid.y, grid.z,
           block.x, block.y, block.z, s.dynamic_bytes, (unsigned long long)simt_seed());
    if (s.active) {
        const uint3 at = simt_running.block_index;
        append(", block (%u,%u,%u)", at.x, at.y, at.z);
    }
    if (simt_current != nullptr) {
        const uint3 at = simt_current->index;
        append(", thread (%u,%u,%u)", at.x, at.y, at.z);
    }
    append(": ");
    append_list(format, list);
    append("\n");
    if (detail == SIMT_WITH_THREADS) {
        for (unsigned i = 0; i < s.warps; i++) {
            append_warp(i);
        }
    }
    if (!quiet) fputs(report, stderr);
    if (abort_on_report) abort();
}

void simt_report(simt_report_detail detail, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    write_report(detail, format, list);
    va_end(list);
}

void simt_fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    write_report(SIMT_WITH_THREADS, format, list);
    va_end(list);
    simt_fiber *const self = &simt_self()->fiber;
    simt_state.failed = true;
    simt_current = nullptr;
    simt_switch(self, &simt_state.host);
    abort(); // an abandoned fiber starts anew
}

extern "C" const char *simt_last_report(void)
{
    return report;
}

extern "C" void simt_clear_report(void)
{
    report[0] = '\0';
}

extern "C" void simt_set_quiet(int on)
{
    quiet = on;
}

extern "C" void simt_set_abort(int on)
{
    abort_on_report = on;
}
