// The kernels that the emulator is tested with.
#ifndef MERIT_SIMT_PLANTED_H
#define MERIT_SIMT_PLANTED_H

struct planted_args {
    const float *in;
    float *out;
    const int *offsets; // [num_groups + 1]
    double *partials; // [blocks]
    unsigned *ticket;
    int num_groups, count;
};

int planted_launch_ragged(const planted_args &args, int blocks);
int planted_launch_ticket(const planted_args &args, int blocks);

#endif
