// What a test tells the fake NCCL and asks of it, beside the functions of NCCL. Found with dlsym.
#ifndef MERIT_FAKE_NCCL_H
#define MERIT_FAKE_NCCL_H

#include <stdint.h>

typedef enum fake_nccl_fault {
    FAKE_NCCL_ALLGATHER, // the k-th ncclAllGather from here on returns `code` and starts nothing
    FAKE_NCCL_ASYNC, // the k-th that is started never ends, and `code` is its asynchronous error
    FAKE_NCCL_SLOW, // the k-th returns ncclInProgress, as do the first `code` polls after it
    FAKE_NCCL_QUERY // the k-th question after rank, size or device returns `code`
} fake_nccl_fault;

typedef void fake_nccl_fail_function(int fault, int64_t k, int code); // one at a time; k = 0: none
typedef int fake_nccl_pending_function(void *stream); // 1: a collective is not done; moves it on
typedef int fake_nccl_count_function(void); // fake_nccl_aborts, fake_nccl_calls
typedef void fake_nccl_device_function(int device); // what ncclCommCuDevice says; first: 0

#endif
