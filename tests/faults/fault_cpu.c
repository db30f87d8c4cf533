// The CPU backend: no runtime, only allocations can fail.
#include "fault_runtime.h"

merit_status fault_create(merit_context **ctx)
{
    merit_context_desc desc;
    merit_context_desc_init(&desc, sizeof desc);
    desc.backend = MERIT_BACKEND_CPU;
    return merit_context_create(&desc, ctx);
}

int fault_counts_allocations(void)
{
    return 1;
}

void fault_arm_calls(uint64_t k, int code)
{
    (void)k;
    (void)code;
}

uint64_t fault_calls(void)
{
    return 0;
}

int fault_num_devices(void)
{
    return 0;
}

void fault_set_device(int device)
{
    (void)device;
}

int fault_device(void)
{
    return 0;
}
