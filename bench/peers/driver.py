#!/usr/bin/env python3
"""Runs other libraries on the points of merit_bench, which starts this program for --peers.

Requests and answers are lines of JSON, one answer for each request:

  {"list": OP, "axes": {...}, "device": "cpu"}
      {"peers": [{"name", "version", "computes", "same_work", "bytes_read", "bytes_written"}, ...]}
      One with a "reason" is not to be run: there is no such peer, the reason says why.
  {"run": I, "list": OP, "axes": {...}, "device": ..., "file": PATH, "arrays": [{"offset", "bytes", "output"}, ...],
   "sets": N, "threads": N, "warm_up": S, "min_time": S, "max_time": S, "sample_time": S, "min_samples": N,
   "precision": P}
      {"samples": [S, ...], "calls_per_sample": N, "ambiguous": B, "outputs": [array, ...]}   or   {"reason": "..."}

The file holds the inputs of the point; the results of the peer are written to the places of its outputs, those that
"outputs" names. Before the first request the program says {"ready": true} or {"ready": false, "reason": "..."}.
"""
import json
import logging
import mmap
import os
import signal
import sys

try:
    import torch
except ImportError as error:  # said to the harness, which then leaves peers out
    print(json.dumps({"ready": False, "reason": f"{sys.executable}: {error}"}), flush=True)
    sys.exit(0)

import sampling
import stack_peers
import torch_peers

MODULES = (torch_peers, stack_peers)


def peers_of(request):
    return [peer for module in MODULES for peer in module.peers(request["list"], request["axes"], request["device"])]


def describe(peer):
    described = {"name": peer.name, "version": peer.version, "computes": peer.computes, "same_work": peer.same_work,
                 "bytes_read": peer.bytes_read, "bytes_written": peer.bytes_written}
    return described if peer.reason is None else {**described, "reason": peer.reason}


class Buffers:
    """The arrays of a point: sets of inputs on the device, outputs in the file."""

    def __init__(self, request):
        self.arrays = request["arrays"]
        self.device = request["device"]
        file = os.open(request["file"], os.O_RDWR)
        self.map = mmap.mmap(file, 0)
        os.close(file)

    def host(self, index):
        array = self.arrays[index]
        return torch.frombuffer(self.map, dtype=torch.uint8, count=array["bytes"], offset=array["offset"])

    def inputs(self):
        """One set: a fresh copy of every input, as bytes."""
        return [None if array["output"] else self.host(i).clone().to(self.device)
                for i, array in enumerate(self.arrays)]

    def store(self, results):
        for index, value in results.items():
            words = value.detach().contiguous().cpu().reshape(-1).view(torch.uint8)
            if words.numel() != self.arrays[index]["bytes"]:
                raise ValueError(f"output {index} has {words.numel()} bytes, not {self.arrays[index]['bytes']}")
            self.host(index).copy_(words)


def keeping(call):
    """The results of a set live until its next call: the memory of outputs is as cold as that of inputs."""
    kept = None

    def rotated():
        nonlocal kept
        kept = call()
        return kept
    return rotated


def run(request):
    peer = peers_of(request)[request["run"]]
    if request["device"] == "cpu":
        torch.set_num_threads(request["threads"])
    buffers = Buffers(request)
    calls = [keeping(peer.bind(buffers.inputs())) for _ in range(request["sets"])]
    buffers.store(calls[0]())
    for call in calls[1:] + calls:  # the first calls of a set have memory from the system
        call()
    clock = sampling.CudaClock() if request["device"] == "cuda" else sampling.HostClock()
    samples, per_sample, ambiguous = sampling.sample(calls, clock, request)
    return {"samples": samples, "calls_per_sample": per_sample, "ambiguous": ambiguous, "outputs": peer.outputs}


def answer(request):
    try:
        if "run" in request:
            return run(request)
        return {"peers": [describe(peer) for peer in peers_of(request)]}
    except Exception as error:  # a library that fails on a point is skipped there, with what it said
        return {"reason": f"{type(error).__name__}: {error}".split("\n")[0][:200]}


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for merit_bench, which then closes the pipe
    answers = os.fdopen(os.dup(1), "w")
    logging.disable(logging.WARNING)
    os.dup2(2, 1)  # what libraries print is not an answer
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
