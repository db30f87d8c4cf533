"""The warm-up and the stopping rule of harness/sampler.c, for calls of Python."""
import math
import time

import torch


class HostClock:
    @staticmethod
    def time(calls, first, count):
        start = time.perf_counter()
        for i in range(first, first + count):
            calls[i % len(calls)]()
        return time.perf_counter() - start


class CudaClock:
    def __init__(self):
        self.start = torch.cuda.Event(enable_timing=True)
        self.end = torch.cuda.Event(enable_timing=True)

    def time(self, calls, first, count):
        self.start.record()
        for i in range(first, first + count):
            calls[i % len(calls)]()
        self.end.record()
        self.end.synchronize()
        return 1e-3 * self.start.elapsed_time(self.end)


def median_rank(count):
    """The largest k with P(Binomial(count, 1/2) <= k) <= 0.025; -1 when there is none."""
    below, k = 0.0, -1
    while k + 1 < count:
        below += math.exp(math.lgamma(count + 1) - math.lgamma(k + 2) - math.lgamma(count - k) - count * math.log(2))
        if below > 0.025:
            break
        k += 1
    return k


def is_precise(samples, precision):
    ordered = sorted(samples)
    k = median_rank(len(ordered))
    if k < 0:
        return False
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return (ordered[len(ordered) - 1 - k] - ordered[k]) / 2 <= precision * median


def sample(calls, clock, limits):
    """(seconds of a call per sample, calls per sample, whether the time limit came first)"""
    spent, fastest, count, first, rounds = 0.0, math.inf, 1, 0, 0
    while rounds < 2 or spent < limits["warm_up"]:
        seconds = clock.time(calls, first, count)
        first += count
        spent += seconds
        rounds += 1
        fastest = min(fastest, seconds / count)
        if seconds < limits["sample_time"]:
            count *= 2
    per_sample = max(1, math.ceil(limits["sample_time"] / max(fastest, 1e-9)))
    samples, spent, next_check = [], 0.0, limits["min_samples"]
    while spent < limits["max_time"] or len(samples) < 3:
        seconds = clock.time(calls, first, per_sample)
        first += per_sample
        spent += seconds
        samples.append(seconds / per_sample)
        if len(samples) >= next_check and spent >= limits["min_time"]:
            if is_precise(samples, limits["precision"]):
                return samples, per_sample, False
            next_check = len(samples) + len(samples) // 8 + 1
    return samples, per_sample, True
