#include "nvml.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>

// What is used of nvml.h: the library's binary interface is stable.
typedef void *nvml_device;
enum { NVML_CLOCK_SM = 1, NVML_CLOCK_MEM = 2, NVML_TEMPERATURE_GPU = 0 };
enum { NVML_GPU_IDLE = 1, NVML_APPLICATION_CLOCKS = 2 }; // throttle reasons that are none

typedef struct nvml_library {
    int (*init)(void);
    int (*device)(unsigned index, nvml_device *device);
    int (*clock)(nvml_device device, int type, unsigned *mhz);
    int (*temperature)(nvml_device device, int sensor, unsigned *degrees);
    int (*power)(nvml_device device, unsigned *milliwatts);
    int (*throttle)(nvml_device device, unsigned long long *reasons);
    nvml_device first;
    bool works;
} nvml_library;

static void find(void *library, const char *name, void *function)
{
    *(void **)function = dlsym(library, name);
}

static nvml_library open_nvml(void)
{
    nvml_library n = {.works = false};
    void *const library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return n;
    find(library, "nvmlInit_v2", &n.init);
    find(library, "nvmlDeviceGetHandleByIndex_v2", &n.device);
    find(library, "nvmlDeviceGetClockInfo", &n.clock);
    find(library, "nvmlDeviceGetTemperature", &n.temperature);
    find(library, "nvmlDeviceGetPowerUsage", &n.power);
    find(library, "nvmlDeviceGetCurrentClocksThrottleReasons", &n.throttle);
    n.works = n.init != NULL && n.device != NULL && n.clock != NULL && n.temperature != NULL &&
              n.power != NULL && n.throttle != NULL && n.init() == 0 && n.device(0, &n.first) == 0;
    return n;
}

bench_clocks bench_read_clocks(void)
{
    static nvml_library n;
    static bool opened;
    bench_clocks c = {.known = false};
    if (!opened) n = open_nvml();
    opened = true;
    if (!n.works) return c;
    unsigned milliwatts = 0;
    c.known = n.clock(n.first, NVML_CLOCK_SM, &c.sm_mhz) == 0 &&
              n.clock(n.first, NVML_CLOCK_MEM, &c.memory_mhz) == 0 &&
              n.temperature(n.first, NVML_TEMPERATURE_GPU, &c.temperature) == 0 &&
              n.throttle(n.first, &c.throttle) == 0;
    if (n.power(n.first, &milliwatts) == 0) c.watts = 1e-3 * milliwatts;
    c.throttle &= ~(unsigned long long)(NVML_GPU_IDLE | NVML_APPLICATION_CLOCKS);
    return c;
}

void bench_throttle_text(const bench_clocks *clocks, char text[BENCH_TEXT])
{
    static const struct {
        unsigned long long bit;
        const char *name;
    } reasons[] = {{0x4, "power cap"},       {0x8, "hardware slowdown"}, {0x10, "sync boost"},
                   {0x20, "thermal"},        {0x40, "hardware thermal"}, {0x80, "power brake"},
                   {0x100, "display clocks"}};
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if ((clocks->throttle & reasons[i].bit) == 0) continue;
        used += (size_t)snprintf(text + used, BENCH_TEXT - used, "%s%s", used > 0 ? ", " : "",
                                 reasons[i].name);
    }
    if (used == 0 && clocks->throttle != 0) snprintf(text, BENCH_TEXT, "an unknown reason");
}
