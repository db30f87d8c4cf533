#include "environment.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "device.h"

// First line of a file without its newline; false when there is none.
static bool first_line(const char *path, char *line, int size)
{
    FILE *const file = fopen(path, "r");
    if (file == NULL) return false;
    const bool found = fgets(line, size, file) != NULL;
    fclose(file);
    if (found) line[strcspn(line, "\n")] = '\0';
    return found;
}

// Value of the first "key : value" line of a file in /proc; false when there is none.
static bool proc_value(const char *path, const char *key, char *value, int size)
{
    FILE *const file = fopen(path, "r");
    if (file == NULL) return false;
    char line[512];
    bool found = false;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        const char *const colon = strchr(line, ':');
        if (colon == NULL || strncmp(line, key, strlen(key)) != 0) continue;
        snprintf(value, (size_t)size, "%s", colon + 1 + strspn(colon + 1, " \t"));
        value[strcspn(value, "\n")] = '\0';
        found = true;
    }
    fclose(file);
    return found;
}

void bench_bytes_text(double bytes, char text[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    while (bytes >= 1024 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, 32, "%.*f %s", bytes == (double)(int64_t)bytes ? 0 : 1, bytes, units[unit]);
}

int bench_num_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

void bench_cpu_text(char text[BENCH_TEXT])
{
    if (!proc_value("/proc/cpuinfo", "model name", text, BENCH_TEXT)) {
        struct utsname name;
        snprintf(text, BENCH_TEXT, "%s", uname(&name) == 0 ? name.machine : "unknown CPU");
    }
}

// Caches of CPU 0 that hold data, as the kernel lists them; returns the bytes of the last level.
static size_t read_caches(char text[BENCH_TEXT])
{
    size_t last = 0;
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < 8; i++) {
        char path[128], level[16], type[32], size[32];
        const char *const folder = "/sys/devices/system/cpu/cpu0/cache/index";
        snprintf(path, sizeof path, "%s%d/level", folder, i);
        if (!first_line(path, level, sizeof level)) break;
        snprintf(path, sizeof path, "%s%d/type", folder, i);
        if (!first_line(path, type, sizeof type) || strcmp(type, "Instruction") == 0) continue;
        snprintf(path, sizeof path, "%s%d/size", folder, i);
        if (!first_line(path, size, sizeof size)) continue;
        char *unit = NULL;
        size_t bytes = strtoul(size, &unit, 10);
        bytes *= *unit == 'K' ? 1024u : (*unit == 'M' ? 1048576u : 1u);
        char amount[32];
        bench_bytes_text((double)bytes, amount);
        if (used < BENCH_TEXT) {
            used +=
                (size_t)snprintf(text + used, BENCH_TEXT - used, "%sL%s%s %s", used > 0 ? ", " : "",
                                 level, strcmp(type, "Data") == 0 ? "d" : "", amount);
        }
        if (bytes > last) last = bytes;
    }
    if (used == 0) snprintf(text, BENCH_TEXT, "caches unknown");
    return last;
}

size_t bench_cache_bytes(void)
{
    char text[BENCH_TEXT];
    const size_t bytes = read_caches(text);
    return bytes > 0 ? bytes : (size_t)32 << 20;
}

static double memory_kib(const char *key)
{
    char value[64];
    return proc_value("/proc/meminfo", key, value, sizeof value) ? strtod(value, NULL) : 0;
}

size_t bench_free_memory(void)
{
    const double kib = memory_kib("MemAvailable");
    return kib > 0 ? (size_t)(kib * 1024) : (size_t)4 << 30;
}

void bench_read_environment(bench_environment *e)
{
    memset(e, 0, sizeof *e);
    bench_cpu_text(e->cpu);
    e->cores = bench_num_cores();
    read_caches(e->caches);
    bench_bytes_text(memory_kib("MemTotal") * 1024, e->memory);
    struct utsname name;
    if (uname(&name) == 0) {
        snprintf(e->system, sizeof e->system, "%.60s %.120s", name.sysname, name.release);
    }
    double load[1] = {0};
    if (getloadavg(load, 1) == 1) e->load = load[0];
    snprintf(e->build, sizeof e->build, "%s", merit_build_info());
    snprintf(e->compiler, sizeof e->compiler, "%s", __VERSION__);
    char reason[BENCH_TEXT];
    const bench_device *const cuda = bench_device_cuda(reason);
    snprintf(e->device, sizeof e->device, "%s", cuda != NULL ? cuda->description : reason);
    const time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(e->date, sizeof e->date, "%Y-%m-%dT%H:%M:%SZ", &utc);
}
