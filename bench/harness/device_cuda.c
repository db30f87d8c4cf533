// The CUDA device: the only file of the bench that calls the CUDA runtime, with movers_cuda.cu.
#include <cuda_runtime_api.h>
#include <stdio.h>

#include "device.h"

int bench_cuda_move(int traffic, void *to, const void *from, size_t bytes, cudaStream_t stream);
int bench_cuda_empty(cudaStream_t stream);

static cudaStream_t stream;
static cudaEvent_t started, stopped;

static void require(cudaError_t code, const char *call)
{
    if (code != cudaSuccess) bench_die("%s: %s", call, cudaGetErrorString(code));
}

static void *cuda_alloc(size_t bytes)
{
    void *memory = NULL;
    if (cudaMalloc(&memory, bytes > 0 ? bytes : 1) == cudaSuccess) return memory;
    (void)cudaGetLastError(); // no memory is the caller's to report, not a failed device
    return NULL;
}

static void cuda_release(void *memory, size_t bytes)
{
    (void)bytes;
    require(cudaFree(memory), "cudaFree");
}

static void cuda_upload(void *to, const void *from_host, size_t bytes)
{
    require(cudaMemcpy(to, from_host, bytes, cudaMemcpyHostToDevice), "cudaMemcpy");
}

static void cuda_download(void *to_host, const void *from, size_t bytes)
{
    require(cudaMemcpy(to_host, from, bytes, cudaMemcpyDeviceToHost), "cudaMemcpy");
}

static void cuda_finish(void)
{
    require(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

// Events bracket the calls on their stream: the device's clock, without the synchronization.
static double cuda_time(bench_calls *calls, void *state, int64_t first, int64_t n)
{
    float milliseconds = 0;
    require(cudaEventRecord(started, stream), "cudaEventRecord");
    calls(state, first, n);
    require(cudaEventRecord(stopped, stream), "cudaEventRecord");
    require(cudaEventSynchronize(stopped), "cudaEventSynchronize");
    require(cudaEventElapsedTime(&milliseconds, started, stopped), "cudaEventElapsedTime");
    return 1e-3 * (double)milliseconds;
}

static void move_read(const bench_stream_buffers *b)
{
    require((cudaError_t)bench_cuda_move(BENCH_READ, b->to, b->from, b->bytes, b->stream), "read");
}

static void move_write(const bench_stream_buffers *b)
{
    require((cudaError_t)bench_cuda_move(BENCH_WRITE, b->to, b->from, b->bytes, b->stream),
            "write");
}

static void move_copy(const bench_stream_buffers *b)
{
    require((cudaError_t)bench_cuda_move(BENCH_COPY, b->to, b->from, b->bytes, b->stream), "copy");
}

static void move_merge(const bench_stream_buffers *b)
{
    require((cudaError_t)bench_cuda_move(BENCH_2R1W, b->to, b->from, b->bytes, b->stream), "2r1w");
}

// Empty kernels in a row, by the device's clock.
static void launch_calls(void *state, int64_t first, int64_t n)
{
    (void)state;
    (void)first;
    for (int64_t i = 0; i < n; i++)
        require((cudaError_t)bench_cuda_empty(stream), "an empty kernel");
}

static cudaGraphExec_t graph_of(bench_calls *calls, void *state, int64_t n)
{
    cudaGraph_t graph;
    cudaGraphExec_t made;
    require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
            "cudaStreamBeginCapture");
    calls(state, 0, n);
    require(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
    require(cudaGraphInstantiateWithFlags(&made, graph, 0), "cudaGraphInstantiate");
    require(cudaGraphDestroy(graph), "cudaGraphDestroy");
    return made;
}

static void graph_calls(void *state, int64_t first, int64_t n)
{
    (void)first;
    for (int64_t i = 0; i < n; i++)
        require(cudaGraphLaunch(state, stream), "cudaGraphLaunch");
}

// The slope between a short and a long graph: what a launch of a graph costs by itself cancels.
static double cuda_node(bench_calls *calls, void *state)
{
    enum { SHORT = 4, LONG = 36, LAUNCHES = 20 };
    double seconds[2];
    for (int k = 0; k < 2; k++) {
        const cudaGraphExec_t graph = graph_of(calls, state, k == 0 ? SHORT : LONG);
        (void)cuda_time(graph_calls, graph, 0, 2);
        seconds[k] = cuda_time(graph_calls, graph, 0, LAUNCHES) / LAUNCHES;
        require(cudaGraphExecDestroy(graph), "cudaGraphExecDestroy");
    }
    return (seconds[1] - seconds[0]) / (LONG - SHORT);
}

static double cuda_launch(int num_threads)
{
    enum { LAUNCHES = 200 };
    (void)num_threads;
    (void)cuda_time(launch_calls, NULL, 0, LAUNCHES);
    return cuda_time(launch_calls, NULL, 0, LAUNCHES) / LAUNCHES;
}

static void move_memset(const bench_stream_buffers *b)
{
    require(cudaMemsetAsync(b->to, 0, b->bytes, b->stream), "cudaMemsetAsync");
}

static void move_memcpy(const bench_stream_buffers *b)
{
    require(cudaMemcpyAsync(b->to, b->from, b->bytes, cudaMemcpyDeviceToDevice, b->stream),
            "cudaMemcpyAsync");
}

static const bench_mover movers[] = {
    {BENCH_READ, "16-byte loads", NULL, move_read},
    {BENCH_WRITE, "16-byte stores", NULL, move_write},
    {BENCH_WRITE, "cudaMemsetAsync", NULL, move_memset},
    {BENCH_COPY, "16-byte loads and stores", NULL, move_copy},
    {BENCH_COPY, "cudaMemcpyAsync", NULL, move_memcpy},
    {BENCH_2R1W, "16-byte loads and stores", NULL, move_merge},
    {BENCH_READ, NULL, NULL, NULL},
};

static int attribute(enum cudaDeviceAttr which)
{
    int value = 0;
    require(cudaDeviceGetAttribute(&value, which, 0), "cudaDeviceGetAttribute");
    return value;
}

static void describe(bench_device *device)
{
    static struct cudaDeviceProp properties;
    int driver = 0, runtime = 0;
    require(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
    require(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    require(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
    const double memory_khz = attribute(cudaDevAttrMemoryClockRate);
    const double bus_bits = attribute(cudaDevAttrGlobalMemoryBusWidth);
    device->peak_bytes_per_second = 2 * memory_khz * 1e3 * bus_bits / 8; // both clock edges
    snprintf(device->description, sizeof device->description,
             "%.80s, sm_%d%d, %d SMs at %.3f GHz, L2 %.1f MiB, driver %d.%d, runtime %d.%d",
             properties.name, properties.major, properties.minor, properties.multiProcessorCount,
             1e-6 * attribute(cudaDevAttrClockRate), (double)properties.l2CacheSize / 0x1p20,
             driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    device->cache_bytes = (size_t)properties.l2CacheSize;
}

const bench_device *bench_device_cuda(char reason[BENCH_TEXT])
{
    static bench_device device;
    if (device.name != NULL) return &device;
    int count = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    if (code != cudaSuccess || count == 0) {
        snprintf(reason, BENCH_TEXT, "no CUDA device: %s",
                 code != cudaSuccess ? cudaGetErrorString(code) : "none found");
        return NULL;
    }
    size_t free_bytes = 0, total_bytes = 0;
    require(cudaSetDevice(0), "cudaSetDevice");
    require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
    require(cudaEventCreate(&started), "cudaEventCreate");
    require(cudaEventCreate(&stopped), "cudaEventCreate");
    require(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
    device = (bench_device){
        .name = "cuda",
        .memory_bytes = free_bytes,
        .stream = stream,
        .movers = movers,
        .alloc = cuda_alloc,
        .release = cuda_release,
        .upload = cuda_upload,
        .download = cuda_download,
        .finish = cuda_finish,
        .time = cuda_time,
        .node = cuda_node,
        .launch = cuda_launch,
    };
    describe(&device);
    return &device;
}
