#!/usr/bin/env python3
"""Stands in for a Python with torch: merit_bench starts it with the path of its driver and speaks the protocol of
bench/peers/driver.py with it. Its peers of advantage_spread: a right one, one that computes something else, one that
fails, one that there is not; FAKE_PEERS=end ends at the first run, FAKE_PEERS=absent has no torch."""
import json
import mmap
import os
import struct
import sys

PEERS = [
    {"name": "right", "version": "1", "computes": "token advantages", "same_work": True, "bytes_read": 5,
     "bytes_written": 4},
    {"name": "other", "version": "2", "computes": "twice as much", "same_work": False, "bytes_read": 50,
     "bytes_written": 4},
    {"name": "broken", "version": "3", "computes": "nothing", "same_work": True, "bytes_read": 5, "bytes_written": 4},
    {"name": "none", "version": "4", "computes": "nothing", "same_work": False, "bytes_read": 0, "bytes_written": 0,
     "reason": "there is no such thing"},
]


def spread(request, factor):
    sequences, tokens = request["axes"]["sequences"], request["axes"]["tokens"]
    values, mask, out = request["arrays"]
    assert [a["output"] for a in request["arrays"]] == [False, False, True]
    assert (values["bytes"], mask["bytes"], out["bytes"]) == (4 * sequences, sequences * tokens, 4 * sequences * tokens)
    with open(request["file"], "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    for s in range(sequences):
        value, = struct.unpack_from("f", memory, values["offset"] + 4 * s)
        row = memory[mask["offset"] + tokens * s:mask["offset"] + tokens * (s + 1)]
        struct.pack_into(f"{tokens}f", memory, out["offset"] + 4 * tokens * s,
                         *(factor * value if m else 0.0 for m in row))


def answer(request):
    assert request["device"] == "cpu"
    if "run" not in request:
        return {"peers": PEERS if request["list"] == "advantage_spread" else []}
    if os.environ.get("FAKE_PEERS") == "end":
        sys.exit(0)
    assert request["run"] < 3, "a peer with a reason is run"
    if request["run"] == 2:
        return {"reason": "it is broken"}
    assert request["sets"] >= 1 and request["threads"] == 1 and request["min_time"] > 0
    spread(request, 1 + request["run"])
    return {"samples": [3.0, 1.0, 2.0], "calls_per_sample": 1, "ambiguous": False, "outputs": [2]}


def main():
    assert os.path.basename(sys.argv[1]) == "driver.py"
    absent = os.environ.get("FAKE_PEERS") == "absent"
    print(json.dumps({"ready": False, "reason": "no torch"} if absent else {"ready": True}), flush=True)
    for line in sys.stdin if not absent else ():
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
