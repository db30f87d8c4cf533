// What can fail under a program of this folder: calls of the CUDA runtime (fault_cuda.c stands in for
// the runtime itself, fault_simt.c asks the emulator, fault_cpu.c has none) and allocations.
#ifndef MERIT_FAULT_RUNTIME_H
#define MERIT_FAULT_RUNTIME_H

#include <merit/merit.h>
#include <stdint.h>

// The backend under test; creating one may itself fail.
merit_status fault_create(merit_context **ctx);

// The k-th runtime call from here on fails with a CUDA error code, 0: none does. Counts from 0.
void fault_arm_calls(uint64_t k, int code);
uint64_t fault_calls(void);
int fault_num_devices(void); // 0: the backend knows no devices
void fault_set_device(int device);
int fault_device(void);

// The same for the allocations of the program; live ones are those not freed since. The emulator
// allocates too, so its allocations are not counted.
int fault_counts_allocations(void);
void fault_arm_allocations(uint64_t k);
uint64_t fault_allocations(void);
int64_t fault_live_allocations(void);

#endif
