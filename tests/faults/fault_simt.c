// The kernels on the emulator, whose runtime can be told to fail.
#include "../../host/internal.h"
#include "../simt/simt_control.h"
#include "fault_runtime.h"

extern const merit_backend merit_backend_simt;

enum { NUM_DEVICES = 2 };

merit_status fault_create(merit_context **ctx)
{
    simt_set_devices(NUM_DEVICES);
    return merit_context_create_on(&merit_backend_simt, NULL, ctx);
}

int fault_counts_allocations(void)
{
    return 0;
}

void fault_arm_calls(uint64_t k, int code)
{
    simt_set_fault(k, code);
}

uint64_t fault_calls(void)
{
    return simt_call_count();
}

int fault_num_devices(void)
{
    return NUM_DEVICES;
}

void fault_set_device(int device)
{
    int previous;
    simt_set_devices(NUM_DEVICES);
    merit_backend_simt.enter(device, &previous);
}

int fault_device(void)
{
    int device = -1;
    merit_backend_simt.enter(0, &device);
    merit_backend_simt.leave(device);
    return device;
}
