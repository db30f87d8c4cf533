#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

enum { PATIENCE_MS = 300000 }; // compiling a graph can take minutes

// Memory of the C library that is freed stays with the process, in huge pages where there are such: a peer is
// timed for its work and not for pages that every call has from the system anew.
static const char *const malloc_tunables =
    "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=4294967296:glibc.malloc.hugetlb=1";

struct bench_peers {
    pid_t process;
    FILE *requests;
    int answers;
    char *line; // what was read beyond the last answer
    size_t used, capacity;
};

// Lines ---------------------------------------------------------------------------------------------

// The next line of the driver, parsed; NULL with the reason when it ends or stays silent.
static json_t *next_answer(bench_peers *p, char reason[BENCH_TEXT])
{
    for (;;) {
        char *const end = memchr(p->line, '\n', p->used);
        if (end != NULL) {
            const size_t length = (size_t)(end - p->line);
            json_t *const answer = json_loadb(p->line, length, 0, NULL);
            p->used -= length + 1;
            memmove(p->line, end + 1, p->used);
            if (answer == NULL) snprintf(reason, BENCH_TEXT, "the driver's answer is no JSON");
            return answer;
        }
        if (p->used == p->capacity) {
            p->capacity *= 2;
            p->line = realloc(p->line, p->capacity);
            if (p->line == NULL) bench_die("no memory for an answer of the peers");
        }
        struct pollfd ready = {.fd = p->answers, .events = POLLIN};
        const int events = poll(&ready, 1, PATIENCE_MS);
        if (events < 0 && errno == EINTR) continue;
        const ssize_t got =
            events > 0 ? read(p->answers, p->line + p->used, p->capacity - p->used) : -1;
        if (got <= 0) {
            snprintf(reason, BENCH_TEXT,
                     got == 0 ? "the driver of the peers ended"
                              : "the driver of the peers does not answer");
            return NULL;
        }
        p->used += (size_t)got;
    }
}

// Sends a request, which is released, and waits for its answer.
static json_t *ask(bench_peers *p, json_t *request, char reason[BENCH_TEXT])
{
    if (request == NULL) bench_die("no memory for a request to the peers");
    const bool sent = json_dumpf(request, p->requests, JSON_COMPACT) == 0 &&
                      fputc('\n', p->requests) != EOF && fflush(p->requests) == 0;
    json_decref(request);
    if (sent) return next_answer(p, reason);
    snprintf(reason, BENCH_TEXT, "the driver of the peers ended");
    return NULL;
}

static void copy_text(const json_t *object, const char *key, char *to, size_t size)
{
    const char *const text = json_string_value(json_object_get(object, key));
    snprintf(to, size, "%s", text != NULL ? text : "");
}

// Process -------------------------------------------------------------------------------------------

bench_peers *bench_start_peers(const char *python, char reason[BENCH_TEXT])
{
    int to_driver[2], from_driver[2];
    if (pipe2(to_driver, O_CLOEXEC) != 0 || pipe2(from_driver, O_CLOEXEC) != 0) {
        bench_die("no pipe for the peers: %s", strerror(errno));
    }
    signal(SIGPIPE, SIG_IGN); // a driver that is gone is an error of fflush
    const pid_t process = fork();
    if (process < 0) bench_die("no process for the peers: %s", strerror(errno));
    if (process == 0) {
        dup2(to_driver[0], STDIN_FILENO);
        dup2(from_driver[1], STDOUT_FILENO);
        setenv("GLIBC_TUNABLES", malloc_tunables, 0);
        execlp(python, python, MERIT_BENCH_PEERS, (char *)NULL);
        _exit(127);
    }
    close(to_driver[0]);
    close(from_driver[1]);
    bench_peers *const p = malloc(sizeof *p);
    if (p == NULL) bench_die("no memory for the peers");
    *p = (bench_peers){.process = process,
                       .requests = fdopen(to_driver[1], "w"),
                       .answers = from_driver[0],
                       .line = malloc(4096),
                       .capacity = 4096};
    if (p->requests == NULL || p->line == NULL) bench_die("no memory for the peers");
    json_t *const hello = next_answer(p, reason);
    const bool ready = json_is_true(json_object_get(hello, "ready"));
    if (hello == NULL) {
        snprintf(reason, BENCH_TEXT, "%.120s does not run the driver", python);
    } else if (!ready) {
        copy_text(hello, "reason", reason, BENCH_TEXT);
    }
    json_decref(hello);
    if (ready) return p;
    bench_stop_peers(p);
    return NULL;
}

void bench_stop_peers(bench_peers *p)
{
    if (p == NULL) return;
    fclose(p->requests); // the driver's loop ends
    close(p->answers);
    kill(p->process, SIGTERM);
    waitpid(p->process, NULL, 0);
    free(p->line);
    free(p);
}

// Runs ----------------------------------------------------------------------------------------------

enum { ALIGNMENT = 256 };

// The arrays of a point in a file that the driver maps: inputs filled, outputs as in `golden`.
typedef struct shared_arrays {
    int file;
    unsigned char *memory;
    size_t bytes;
    size_t offset[BENCH_MAX_ARRAYS];
} shared_arrays;

static bool share(const bench_case *c, const bench_buffers *golden, shared_arrays *s,
                  char reason[BENCH_TEXT])
{
    s->bytes = 0;
    for (int i = 0; i < c->num_arrays; i++) {
        s->offset[i] = s->bytes;
        s->bytes += (c->arrays[i].bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    s->memory = MAP_FAILED;
    s->file = memfd_create("merit_bench", MFD_CLOEXEC);
    if (s->file >= 0 && ftruncate(s->file, (off_t)s->bytes) == 0) {
        s->memory = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->file, 0);
    }
    if (s->memory == MAP_FAILED) {
        snprintf(reason, BENCH_TEXT, "no shared memory of %zu bytes: %s", s->bytes,
                 strerror(errno));
        if (s->file >= 0) close(s->file);
        return false;
    }
    for (int i = 0; i < c->num_arrays; i++) {
        const void *const from = c->arrays[i].output ? golden->array[i] : c->arrays[i].host;
        memcpy(s->memory + s->offset[i], from, c->arrays[i].bytes);
    }
    return true;
}

static void unshare(shared_arrays *s)
{
    munmap(s->memory, s->bytes);
    close(s->file);
}

static json_t *list_request(const bench_case *c, const bench_device *device)
{
    return json_pack("{s:s, s:o, s:s}", "list", c->point.op->name, "axes",
                     bench_json_axes(&c->point), "device", device->name);
}

static json_t *run_request(const bench_case *c, const bench_device *device, const shared_arrays *s,
                           const bench_limits *limits, int peer, int num_sets, int num_threads)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)getpid(), s->file);
    json_t *const arrays = json_array();
    for (int i = 0; i < c->num_arrays; i++) {
        json_array_append_new(
            arrays, json_pack("{s:I, s:I, s:b}", "offset", (json_int_t)s->offset[i], "bytes",
                              (json_int_t)c->arrays[i].bytes, "output", c->arrays[i].output));
    }
    json_t *const request = list_request(c, device);
    json_t *const further = json_pack(
        "{s:i, s:s, s:o, s:i, s:i, s:f, s:f, s:f, s:f, s:i, s:f}", "run", peer, "file", path,
        "arrays", arrays, "sets", num_sets, "threads", num_threads, "warm_up", limits->warm_up,
        "min_time", limits->min_time, "max_time", limits->max_time, "sample_time",
        limits->sample_time, "min_samples", limits->min_samples, "precision", limits->precision);
    json_object_update(request, further);
    json_decref(further);
    return request;
}

static void read_timing(const json_t *answer, bench_timing *timing)
{
    const json_t *const array = json_object_get(answer, "samples");
    const size_t count = json_array_size(array);
    double *const samples = malloc((count + 1) * sizeof *samples);
    if (samples == NULL) bench_die("no memory for %zu samples", count);
    for (size_t i = 0; i < count; i++)
        samples[i] = json_number_value(json_array_get(array, i));
    *timing = (bench_timing){.seconds = bench_summarize(samples, (int64_t)count),
                             .calls_per_sample =
                                 json_integer_value(json_object_get(answer, "calls_per_sample")),
                             .ambiguous = json_is_true(json_object_get(answer, "ambiguous"))};
    free(samples);
}

// How far the outputs in the file are from the check's reference. What it finds beyond our limits is said in
// error->text and is no failure here.
static void read_error(const bench_case *c, const shared_arrays *s, bench_error *error)
{
    bench_buffers outputs = {{NULL}};
    for (int i = 0; i < c->num_arrays; i++)
        outputs.array[i] = c->arrays[i].output ? s->memory + s->offset[i] : NULL;
    *error = (bench_error){0};
    if (c->point.op->check(c, &outputs, error)) {
        error->text[0] = '\0';
    } else if (error->text[0] == '\0') {
        snprintf(error->text, sizeof error->text, "wrong");
    }
}

int bench_run_peers(bench_peers *p, const bench_case *c, const bench_buffers *golden,
                    const bench_device *device, int num_sets, int num_threads,
                    const bench_limits *limits, bench_peer found[BENCH_MAX_PEERS],
                    char reason[BENCH_TEXT])
{
    json_t *const answer = ask(p, list_request(c, device), reason);
    const json_t *const list = json_object_get(answer, "peers");
    int count = 0;
    if (answer != NULL && list == NULL) copy_text(answer, "reason", reason, BENCH_TEXT);
    for (size_t i = 0; i < json_array_size(list) && count < BENCH_MAX_PEERS; i++) {
        const json_t *const described = json_array_get(list, i);
        bench_peer *const peer = &found[count];
        shared_arrays shared;
        *peer = (bench_peer){
            .same_work = json_is_true(json_object_get(described, "same_work")),
            .bytes_read = json_number_value(json_object_get(described, "bytes_read")),
            .bytes_written = json_number_value(json_object_get(described, "bytes_written"))};
        copy_text(described, "name", peer->name, sizeof peer->name);
        copy_text(described, "version", peer->version, sizeof peer->version);
        copy_text(described, "computes", peer->computes, sizeof peer->computes);
        copy_text(described, "reason", peer->reason, sizeof peer->reason);
        if (peer->reason[0] != '\0') { // nothing to run
            count++;
            continue;
        }
        if (!share(c, golden, &shared, reason)) break;
        json_t *const result =
            ask(p, run_request(c, device, &shared, limits, (int)i, num_sets, num_threads), reason);
        if (json_object_get(result, "samples") != NULL) {
            read_timing(result, &peer->timing);
            read_error(c, &shared, &peer->error);
        } else if (result != NULL) {
            copy_text(result, "reason", peer->reason, sizeof peer->reason);
        }
        unshare(&shared);
        json_decref(result);
        if (result == NULL) break; // the driver is gone
        count++;
    }
    json_decref(answer);
    return count;
}
