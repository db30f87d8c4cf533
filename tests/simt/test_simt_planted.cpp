// test_simt_planted DIRECTORY: every planted bug must be caught in the build that is said to catch it,
// and the sound twins must give no report anywhere and the same bits for every seed. DIRECTORY has the
// programs simt_planted_plain, _asan (with UndefinedBehaviorSanitizer) and _tsan.
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <sys/wait.h>
#include <vector>

enum { SEEDS = 16 };

struct outcome {
    int status; // exit status, -1: killed by a signal
    int wrong, failed; // -1: the program did not come to its end
    std::string output;
};

static std::string directory;

static outcome run(const std::string &build, const std::string &arguments)
{
    outcome result = {-1, -1, -1, ""};
    const std::string command =
        "\"" + directory + "/simt_planted_" + build + "\" " + arguments + " 2>&1";
    FILE *const pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return result;
    char part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, pipe)) > 0;) {
        result.output.append(part, n);
    }
    const int code = pclose(pipe);
    if (WIFEXITED(code)) result.status = WEXITSTATUS(code);
    const size_t summary = result.output.find(" wrong, ");
    const size_t start = result.output.rfind(": ", summary);
    if (summary != std::string::npos && start != std::string::npos) {
        sscanf(result.output.c_str() + start, ": %d wrong, %d failed", &result.wrong,
               &result.failed);
    }
    return result;
}

// At least so many wrong and failed runs (-1: the program was ended), and these texts.
struct expectation {
    const char *bug, *build;
    int seeds, wrong, failed;
    std::vector<const char *> texts;
};

static const expectation expectations[] = {
    // Without a sanitizer: wrong results and the emulator's own reports.
    {"missing_raw", "plain", SEEDS, SEEDS, 0, {}},
    {"missing_war", "plain", SEEDS, SEEDS / 2, 0, {}}, // the seeds that run warps ahead
    {"missing_syncwarp", "plain", SEEDS, SEEDS, 0, {}},
    {"static_read", "plain", SEEDS, SEEDS, 0, {}},
    {"static_write", "plain", SEEDS, 0, SEEDS, {"0 bytes past the end of values"}},
    {"dynamic_read", "plain", SEEDS, SEEDS, 0, {}},
    {"uninitialized", "plain", SEEDS, SEEDS, 0, {}},
    {"divergent_barrier",
     "plain",
     SEEDS,
     0,
     SEEDS,
     {"returned while others wait at __syncthreads, planted.cu:", "waits at __syncthreads",
      "returned\n"}},
    {"two_barriers",
     "plain",
     SEEDS,
     0,
     SEEDS,
     {"reached __syncthreads, planted.cu:", "while others wait at __syncthreads, planted.cu:",
      "divergent barrier"}},
    {"divergent_shuffle",
     "plain",
     SEEDS,
     0,
     SEEDS,
     {"returned while its warp waits for it at __shfl_xor_sync, planted.cu:"}},
    {"returned_lane",
     "plain",
     SEEDS,
     0,
     SEEDS,
     {"__shfl_xor_sync, planted.cu:", "names lanes that have returned"}},
    {"two_shuffles",
     "plain",
     SEEDS,
     0,
     SEEDS,
     {"while other lanes of mask 0xffffffff are at __shfl_xor_sync, planted.cu:",
      "divergent warp operation"}},
    {"foreign_mask",
     "plain",
     SEEDS,
     0,
     SEEDS,
     {"the mask 0x0000ffff does not name the calling lane"}},
    {"inactive_source", "plain", SEEDS, 0, SEEDS, {"reads lane 20, which is not in mask"}},
    {"overlapping_blocks", "plain", SEEDS, SEEDS, 0, {}},

    // Bounds and alignment.
    {"global_bounds", "asan", 1, -1, -1, {"heap-buffer-overflow", "global_bounds_kernel<false>"}},
    {"static_read", "asan", 1, -1, -1, {"index 256 out of bounds for type 'float [256]'"}},
    {"static_write", "asan", 1, -1, -1, {"index 256 out of bounds for type 'float [256]'"}},
    {"dynamic_read", "asan", 1, -1, -1, {"use-after-poison", "dynamic_read_kernel<false>"}},
    {"misaligned", "asan", 1, -1, -1, {"misaligned address", "planted.cu:"}},
    {"divergent_barrier", "asan", 2, 0, 2, {"returned while others wait at __syncthreads"}},
    {"two_shuffles", "asan", 2, 0, 2, {"divergent warp operation"}},

    // Missing order between threads, whatever the seed.
    {"missing_raw", "tsan", 1, 0, 0, {"data race", "in missing_raw_kernel<false>"}},
    {"missing_war", "tsan", 1, 0, 0, {"data race", "planted_block_sum<false>"}},
    {"missing_syncwarp", "tsan", 1, 0, 0, {"data race", "in missing_syncwarp_kernel<false>"}},
    {"shuffle_as_fence", "tsan", 1, 0, 0, {"data race", "in shuffle_as_fence_kernel<false>"}},
    {"lost_update", "tsan", 1, 0, 0, {"data race", "in lost_update_kernel<false>"}},
    {"missing_fence", "tsan", 1, 0, 0, {"data race", "in missing_fence_kernel<false>"}},
    {"early_ticket", "tsan", 1, 0, 0, {"data race", "in early_ticket_kernel<false>"}},
    {"overlapping_blocks", "tsan", 1, 0, 0, {"data race", "in overlapping_blocks_kernel<false>"}},
};

static bool caught(const expectation &e, const outcome &o)
{
    bool holds = o.status > 0;
    if (e.wrong < 0) {
        holds = holds && o.wrong < 0;
    } else {
        holds = holds && o.wrong >= e.wrong && o.failed >= e.failed;
    }
    for (const char *text : e.texts) {
        holds = holds && o.output.find(text) != std::string::npos;
    }
    return holds;
}

static bool silent(const outcome &o)
{
    for (const char *text : {"simt:", "ERROR", "WARNING", "runtime error"}) {
        if (o.output.find(text) != std::string::npos) return false;
    }
    return o.status == 0 &&
           o.output.find("overlapping_blocks: 0 wrong, 0 failed") != std::string::npos;
}

static int judge(bool good, const std::string &name, const outcome &o)
{
    printf("%s %s\n", good ? "ok  " : "FAIL", name.c_str());
    if (!good) printf("status %d: %s\n", o.status, o.output.substr(0, 6000).c_str());
    fflush(stdout);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    directory = argv[1];
    setenv("TSAN_OPTIONS", "atexit_sleep_ms=0", 1);
    int failures = 0;
    for (const expectation &e : expectations) {
        const outcome o = run(e.build, std::string(e.bug) + " " + std::to_string(e.seeds));
        failures += judge(caught(e, o), std::string(e.bug) + " in " + e.build, o);
    }
    const struct {
        const char *build;
        int seeds;
    } sound[] = {{"plain", SEEDS}, {"asan", 8}, {"tsan", 2}};
    for (const auto &s : sound) {
        const outcome o = run(s.build, "all " + std::to_string(s.seeds) + " sound");
        failures += judge(silent(o), std::string("sound kernels in ") + s.build, o);
    }
    return failures > 0;
}
