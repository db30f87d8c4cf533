#!/usr/bin/env python3
"""Every point of every operation of merit_bench has a peer in PyTorch, or a reason in the table why it has none; and
PyTorch has no peers of operations that do not exist. Needs no torch: what the peers declare is asked for, not run.

usage: check_peer_coverage.py MERIT_BENCH FOLDER_OF_PEERS
"""
import re
import subprocess
import sys
import types


def points(program):
    """(operation, axes) of each point that --list names: labels and numbers, in the order of the axes."""
    listed = subprocess.run([program, "--list", "--full"], stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    operation, names = "", []
    for line in listed.stdout.splitlines():
        if head := re.match(r"(\w+): ", line):
            operation = head[1]
        elif axes := re.match(r"  axes: (.*)", line):
            names = axes[1].split()
        else:
            words = re.match(r"  (.*?) +[\d.]+ MiB", line)[1].split()
            values = [v for w in words for v in (map(int, w.split("x")) if re.fullmatch(r"\d+(x\d+)*", w) else [w])]
            assert len(values) == len(names), f"{operation}: {line} has not the axes {names}"
            yield operation, dict(zip(names, values))


def stand_in():
    """A module that lets the peers load and declare, and nothing more."""
    torch = types.ModuleType("torch")
    torch.__version__ = "0"
    torch.__getattr__ = lambda name: types.ModuleType(name)
    torch.nn = types.ModuleType("torch.nn")
    torch.nn.functional = types.ModuleType("torch.nn.functional")
    torch.nn.functional.__getattr__ = torch.__getattr__
    return {"torch": torch, "torch.nn": torch.nn, "torch.nn.functional": torch.nn.functional}


def check_point(peers, operation, axes):
    found = list(peers(operation, axes, "cpu"))
    where = f"{operation} {axes}"
    assert found, f"{where} has no peer in PyTorch and no reason why (bench/peers/torch_peers.py)"
    for peer in found:
        assert peer.name.startswith("torch") and peer.computes, where
        if peer.reason is None:
            assert callable(peer.bind) and peer.outputs and peer.bytes_read > 0 and peer.bytes_written > 0, where
        else:
            assert len(peer.reason) > 20 and len(found) == 1, f"{where}: a reason is a sentence and stands alone"
    return any(peer.same_work for peer in found)


def main():
    program, folder = sys.argv[1:]
    sys.modules.update(stand_in())
    sys.path.insert(0, folder)
    torch_peers = __import__("torch_peers")
    count, equal = 0, {}
    for operation, axes in points(program):
        count += 1
        equal[operation] = check_point(torch_peers.peers, operation, axes) or equal.get(operation, False)
    assert count > 100 and len(equal) > 20, f"only {count} points of {len(equal)} operations are listed"
    unknown = set(torch_peers.FAMILIES) - set(equal)
    assert not unknown, f"peers of operations that merit_bench does not have: {unknown}"
    without = sorted(operation for operation, same in equal.items() if not same)
    print(f"{count} points of {len(equal)} operations; no peer that does the same work: {', '.join(without) or 'none'}")


if __name__ == "__main__":
    main()
