// NCCL behind a table of functions, found at run time: merit links no vendor library, and this file
// alone knows the interface (nccl.h of NCCL 2, which has kept these functions since 2.4).
//
// The environment variable MERIT_NCCL names the library to use instead of the one found.
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "comm_transport.h"

// The numbers of nccl.h that are used here.
enum { NCCL_CHAR = 0, NCCL_IN_PROGRESS = 7 };

static const merit_comm_nccl_desc defaults = {.struct_size = sizeof defaults, .timeout = 600.0};

// name, result, parameters
#define NCCL_FUNCTIONS(F)                                                        \
    F(AllGather, int, (const void *, void *, size_t, int, void *, merit_stream)) \
    F(CommAbort, int, (void *))                                                  \
    F(CommCount, int, (const void *, int *))                                     \
    F(CommCuDevice, int, (const void *, int *))                                  \
    F(CommGetAsyncError, int, (void *, int *))                                   \
    F(CommUserRank, int, (const void *, int *))                                  \
    F(GetErrorString, const char *, (int))

typedef struct nccl {
    void *library;
    void *comm; // the caller's; NULL once aborted
#define NCCL_FIELD(name, result, parameters) result(*name) parameters;
    NCCL_FUNCTIONS(NCCL_FIELD)
} nccl;

// The library -------------------------------------------------------------------------------------

// The communicator belongs to the copy that made it, so one that is loaded comes first: by its name,
// wherever it was loaded, or as part of the program.
static void *open_library(void)
{
    static const char name[] = "libnccl.so.2";
    const char *const given = getenv("MERIT_NCCL");
    if (given != NULL) return dlopen(given, RTLD_NOW | RTLD_LOCAL);
    void *const loaded = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    if (loaded != NULL) return loaded;
    void *const program = dlopen(NULL, RTLD_NOW);
    if (program != NULL && dlsym(program, "ncclAllGather") != NULL) return program;
    if (program != NULL) dlclose(program);
    return dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

// dlsym gives an object pointer: copied, as ISO C has no cast to a function.
static int find(void *library, const char *name, void *function)
{
    void *const symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

// What is not here, NULL when all is.
static const char *find_functions(nccl *n)
{
    n->library = open_library();
    if (n->library == NULL) return "libnccl.so.2";
#define NCCL_FIND(name, result, parameters) \
    if (!find(n->library, "nccl" #name, &n->name)) return "nccl" #name;
    NCCL_FUNCTIONS(NCCL_FIND)
    return NULL;
}

// The transport -----------------------------------------------------------------------------------

// A communicator that does not block says so when it has not started the work yet.
static int progress(int code)
{
    return code == NCCL_IN_PROGRESS ? MERIT_COMM_IN_PROGRESS : code;
}

static int all_gather(void *state, const void *send, void *receive, size_t bytes,
                      merit_stream stream)
{
    const nccl *const n = state;
    return progress(n->AllGather(send, receive, bytes, NCCL_CHAR, n->comm, stream));
}

static int asynchronous_error(void *state)
{
    const nccl *const n = state;
    int error = 0;
    const int code = n->CommGetAsyncError(n->comm, &error);
    return progress(code != 0 ? code : error);
}

static const char *text(void *state, int code)
{
    return ((const nccl *)state)->GetErrorString(code);
}

static void abandon(void *state)
{
    nccl *const n = state;
    n->CommAbort(n->comm);
    n->comm = NULL;
}

static void close_nccl(void *state)
{
    nccl *const n = state;
    if (n->library != NULL) dlclose(n->library);
    free(n);
}

// Creation ----------------------------------------------------------------------------------------

merit_status merit_comm_nccl_desc_init(merit_comm_nccl_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &defaults, sizeof defaults,
                             MERIT_SIZE_0_1(merit_comm_nccl_desc, timeout));
}

static merit_status create_over(const char *function, nccl *n, merit_comm_transport *transport,
                                merit_comm **comm)
{
    const char *const missing = find_functions(n);
    if (missing != NULL) {
        return merit_fail_in(function, MERIT_STATUS_UNSUPPORTED, "NCCL is not here: no %s",
                             missing);
    }
    int rank = 0, size = 0;
    int code = n->CommUserRank(n->comm, &rank);
    if (code == 0) code = n->CommCount(n->comm, &size);
    if (code == 0) code = n->CommCuDevice(n->comm, &transport->device);
    if (code != 0) {
        return merit_fail_in(function, MERIT_STATUS_COMM_ERROR,
                             "nccl_comm does not say its rank, size and device: %s (code %d)",
                             n->GetErrorString(code), code);
    }
    if (size < 1 || size > MERIT_COMM_MAX_SIZE || rank < 0 || rank >= size) {
        return merit_fail_in(function, MERIT_STATUS_INVALID_ARGUMENT,
                             "nccl_comm is rank %d of %d, expected one of 1..%d", rank, size,
                             MERIT_COMM_MAX_SIZE);
    }
    return merit_comm_create_over(function, transport, n, rank, size, comm);
}

merit_status merit_comm_create_nccl(void *nccl_comm, const merit_comm_nccl_desc *desc,
                                    merit_comm **comm)
{
    if (comm == NULL) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT, "comm is NULL");
    }
    *comm = NULL;
    if (nccl_comm == NULL) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT, "nccl_comm is NULL");
    }
    merit_comm_nccl_desc d = defaults;
    merit_context reader = {.function = __func__}; // holds the sentence: there is no context yet
    if (desc != NULL &&
        merit_read_struct(&reader, "desc", &d, sizeof d,
                          MERIT_SIZE_0_1(merit_comm_nccl_desc, timeout), desc) != MERIT_STATUS_OK) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT, "%s",
                             reader.error + sizeof __func__ + 1);
    }
    if (!(d.timeout > 0.0)) {
        return merit_fail_in(__func__, MERIT_STATUS_INVALID_ARGUMENT,
                             "timeout is %g, expected more than 0", d.timeout);
    }
    nccl *const n = calloc(1, sizeof *n);
    if (n == NULL) {
        return merit_fail_in(__func__, MERIT_STATUS_OUT_OF_MEMORY,
                             "no memory for a communicator over NCCL");
    }
    n->comm = nccl_comm;
    merit_comm_transport transport = {.name = "NCCL",
                                      .allgather = all_gather,
                                      .on_device_only = 1,
                                      .timeout = d.timeout,
                                      .error = asynchronous_error,
                                      .text = text,
                                      .abandon = abandon,
                                      .close = close_nccl};
    const merit_status status = create_over(__func__, n, &transport, comm);
    if (status != MERIT_STATUS_OK) close_nccl(n);
    return status;
}
