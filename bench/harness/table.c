#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report.h"

// "12.3 us"
static const char *time_text(double seconds, char text[32])
{
    static const char *const units[] = {"s", "ms", "us", "ns"};
    int unit = 0;
    while (seconds < 0.9995 && unit < 3) {
        seconds *= 1000;
        unit++;
    }
    const int decimals = seconds < 9.995 ? 2 : (seconds < 99.95 ? 1 : 0);
    snprintf(text, 32, "%.*f %s", decimals, seconds, units[unit]);
    return text;
}

// "1.23 G"
static const char *rate_text(double rate, char text[32])
{
    static const char *const units[] = {"", " k", " M", " G", " T"};
    int unit = 0;
    while (rate >= 999.5 && unit < 4) {
        rate /= 1000;
        unit++;
    }
    snprintf(text, 32, "%.*f%s", rate < 9.995 ? 2 : (rate < 99.95 ? 1 : 0), rate, units[unit]);
    return text;
}

void bench_print_environment(const bench_environment *e, const bench_options *options,
                             const char *command)
{
    printf("cpu       %s, %d core%s, %s\n", e->cpu, e->cores, e->cores == 1 ? "" : "s", e->caches);
    printf("system    %s, %s memory, load %.2f\n", e->system, e->memory, e->load);
    if (e->load > 0.5 * e->cores) {
        printf("          other programs are running: times with several threads suffer most, the\n"
               "          less under OMP_WAIT_POLICY=passive or with --threads 1\n");
    }
    printf("device    %s\n", e->device);
    printf("build     %s\n", e->build);
    printf("compiler  %s (of this program)\n", e->compiler);
    printf("command   %s\n", command);
    printf("data      %s\n", options->data_dir != NULL
                                 ? "real where a point says so, else generated"
                                 : "generated; --data DIR adds the points with real rewards");
    printf("seed      %" PRIu64 "\n", options->seed);
    printf("date      %s\n\n", e->date);
}

static void print_roof(const bench_roof *roof, const char *name)
{
    if (roof->bytes_per_second == 0) return;
    printf("  %-5s %8.2f GB/s  %s", name, 1e-9 * roof->bytes_per_second, roof->method);
    if (roof->ordinary < roof->bytes_per_second) {
        printf("; ordinary stores %.2f", 1e-9 * roof->ordinary);
    }
    printf("\n");
}

void bench_print_roofs(const bench_roofs *roofs, const char *when)
{
    char bytes[32];
    bench_bytes_text((double)roofs->bytes, bytes);
    printf("roofs %s: %s, %d thread%s, arrays of %s", when, roofs->device->name, roofs->num_threads,
           roofs->num_threads == 1 ? "" : "s", bytes);
    if (roofs->device->peak_bytes_per_second > 0) {
        printf(", data sheet %.0f GB/s", 1e-9 * roofs->device->peak_bytes_per_second);
    }
    printf("\n");
    for (int t = 0; t < BENCH_NUM_TRAFFIC; t++) {
        print_roof(&roofs->roof[t], bench_traffic_name((bench_traffic)t));
    }
    printf("  launch %7.2f us of one that does nothing\n", 1e6 * roofs->launch);
    if (roofs->disturbed) printf("  %s: shares of these roofs are uncertain\n", bench_disturbed);
    fflush(stdout);
}

void bench_print_legend(void)
{
    printf(
        "\n"
        "cold    median time of a call over sets of buffers that do not fit the caches\n"
        "spread  interquartile range over the median; ~ after a time: AMBIGUOUS, the confidence\n"
        "        interval of the median was still wider than 1 %% at the time limit, or\n"
        "        other programs took the cores\n"
        "hot     median over one set that fits half the last-level cache\n"
        "GB/s    the bytes that must move over the cold time; roof: share of the measured read,\n"
        "        write, copy or 2r1w roof, by the bytes read and written\n"
        "naive   time of a plain two-pass double C loop, same threads, over ours\n"
        "ulp     largest error against an independent computation\n"
        "bits    runs (repeated, other instruction sets, threads, devices) with equal bits\n"
        "alloc   allocations in a call; launch: CUDA kernels in a call\n"
        "limit   what bounds the time from below: memory or launch by the roofs, issue where\n"
        "        it takes half as long again, so that instructions decide\n");
}

void bench_print_op(const bench_op *op)
{
    printf("\n%s: %s\n", op->name, op->model);
    char rate[BENCH_TEXT];
    snprintf(rate, sizeof rate, "%.20s/s", op->item);
    printf("  %-32s %-7s %3s %10s %7s %9s %10s %7s %10s %7s %7s %6s %5s %5s %6s\n", "point",
           "backend", "thr", "cold", "spread", "hot", rate, "GB/s", "roof", "limit", "naive", "ulp",
           "bits", "alloc", "launch");
    fflush(stdout);
}

// "    torch eager 2.9     1.23 ms   14.2x  ulp 2.1, abs 1e-07  advantages"
static void print_peer(const bench_peer *peer, double ours)
{
    char name[128], time[32], ratio[32] = "other work";
    snprintf(name, sizeof name, "%s %s", peer->name, peer->version);
    printf("    %-32s ", name);
    if (peer->reason[0] != '\0') {
        printf("skipped: %s\n", peer->reason);
        return;
    }
    if (peer->same_work) snprintf(ratio, sizeof ratio, "%.2fx", peer->timing.seconds.median / ours);
    printf("%9s%c %10s  ulp %.3g, abs %.2g  %s\n", time_text(peer->timing.seconds.median, time),
           peer->timing.ambiguous ? '~' : ' ', ratio, peer->error.max_ulp, peer->error.max_abs,
           peer->computes);
    if (peer->error.text[0] != '\0') printf("%37sbeyond our limits: %s\n", "", peer->error.text);
}

// "    host call 3.21 us, graph node 1.87 us; SM 1980 MHz, memory 2619 MHz, 61 C, 402 W, throttled: power cap"
static void print_device(const bench_row *row)
{
    char host[32], node[32] = "none", reasons[BENCH_TEXT];
    if (row->host.seconds.count == 0) return;
    if (row->graph_node > 0) time_text(row->graph_node, node);
    printf("    host call %s, graph node %s", time_text(row->host.seconds.median, host), node);
    if (row->clocks.known) {
        const bench_clocks *const c = &row->clocks;
        bench_throttle_text(c, reasons);
        printf("; SM %u MHz, memory %u MHz, %u C, %.0f W%s%s", c->sm_mhz, c->memory_mhz,
               c->temperature, c->watts, reasons[0] != '\0' ? ", throttled: " : "", reasons);
    }
    printf("\n");
}

bench_limit bench_limit_of(const bench_row *row)
{
    const double bytes = row->work.bytes_read + row->work.bytes_written;
    const double memory = row->roof > 0 ? bytes / row->roof : 0;
    const bool launch = row->launch_floor > memory;
    const double floor = launch ? row->launch_floor : memory;
    const bool issue = row->cold.seconds.median > 1.5 * floor;
    return (bench_limit){issue ? "issue" : launch ? "launch" : "memory", floor};
}

void bench_print_row(const bench_row *row)
{
    printf("  %-32s ", row->shape);
    if (row->backend[0] != '\0') printf("%-7s %3d ", row->backend, row->num_threads);
    if (row->status != BENCH_OK) {
        printf("%s: %s\n", row->status == BENCH_WRONG ? "WRONG" : "skipped", row->reason);
        fflush(stdout);
        return;
    }
    char cold[32], hot[32] = "-", rate[32], roof[32] = "-", peer[32] = "-", launches[32] = "-";
    const double seconds = row->cold.seconds.median;
    const double bytes_per_second = (row->work.bytes_read + row->work.bytes_written) / seconds;
    time_text(seconds, cold);
    if (row->has_hot) time_text(row->hot.seconds.median, hot);
    if (row->has_hot && row->hot.ambiguous) strcat(hot, "~");
    rate_text(row->work.items / seconds, rate);
    if (row->roof > 0) {
        snprintf(roof, sizeof roof, "%.0f %% %s", 100 * bytes_per_second / row->roof,
                 bench_traffic_name(row->traffic));
    }
    if (row->has_peer) snprintf(peer, sizeof peer, "%.1fx", row->peer.seconds.median / seconds);
    if (strcmp(row->backend, "cuda") == 0) {
        snprintf(launches, sizeof launches, "%" PRId64, row->counts.launches);
    }
    printf("%9s%c %5.1f %% %9s %10s %7.2f %10s %7s %7s %6.3f %5d %5" PRId64 " %6s%s\n", cold,
           row->cold.ambiguous ? '~' : ' ', 100 * bench_spread(&row->cold.seconds), hot, rate,
           1e-9 * bytes_per_second, roof, row->roof > 0 ? bench_limit_of(row).by : "-", peer,
           row->error.max_ulp, row->bit_comparisons, row->counts.allocations, launches,
           row->cache_cold ? "" : "  (cache not filled)");
    if (row->cold.ambiguous) {
        const double width = 100 * bench_relative_error(&row->cold.seconds);
        printf("    AMBIGUOUS: %s (", row->cold.reason);
        if (isfinite(width)) printf("+-%.*f %% ", width < 10 ? 2 : 0, width);
        printf("after %" PRId64 " samples)\n", row->cold.seconds.count);
    }
    print_device(row);
    if (strncmp(row->data, "real", 4) == 0) printf("    data: %s\n", row->data);
    for (int i = 0; i < row->num_peers; i++)
        print_peer(&row->peers[i], seconds);
    fflush(stdout);
}
