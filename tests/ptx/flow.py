"""Loops of a kernel, and the instructions on the paths through them.

An iteration is a path from the head of a loop to the branch back to it. What hardly ever runs is left
out: calls of nvcc's own slow paths (a division whose operands are extreme), the code for a warp that
has diverged at a shuffle, and global atomics (the counters of diagnostics, tickets) unless every path
has one.
"""
import collections

import sass

Path = collections.namedtuple("Path", "slots double")
Costs = collections.namedtuple("Costs", "shortest longest")

# A loop, or a whole function. units: instructions (int) and inner loops (Region), those that come
# later first; after: per unit, positions in units of what may follow; ends: per unit, whether an
# iteration (the function) may end there.
Region = collections.namedtuple("Region", "head nodes units after ends")


def is_rare(instruction, functions):
    if instruction.name == "CALL":
        return functions.get(instruction.target, "").startswith("__")
    return instruction.name in ("WARPSYNC.COLLECTIVE", "ENDCOLLECTIVE")


class Flow:
    def __init__(self, kernel):
        self.code = kernel.code
        self.functions = {f.first: f.name for f in kernel.functions}
        self.rare = {at for at, i in enumerate(self.code) if is_rare(i, self.functions)}
        self.atomics = {at for at, i in enumerate(self.code) if i.name in ("ATOMG", "RED")}
        self.loops = []  # outer ones first
        self.regions = {f.first: self.region(f.first, self.reachable(f.first), None)
                        for f in kernel.functions if not f.name.startswith("__")}

    def reachable(self, first):
        found, left = set(), [first]
        while left:
            at = left.pop()
            if at < len(self.code) and at not in found and at not in self.rare:
                found.add(at)
                left += self.code[at].following
        return found

    def region(self, head, nodes, back_to):
        """back_to: the head again for a loop, None for a function."""
        place = len(self.loops)
        groups = strong_components(nodes, lambda at: (
            to for to in self.code[at].following if to in nodes and to != back_to))
        owner = {at: position for position, group in enumerate(groups) for at in group}
        units, after, ends = [], [], []
        for group in groups:
            following = {to for at in group for to in self.code[at].following}
            inner = len(group) > 1 or group[0] in self.code[group[0]].following and group[0] != back_to
            after.append(sorted({owner[to] for to in following if to in nodes and to != back_to}
                                - {owner[group[0]]}))
            ends.append(any(back_to in self.code[at].following if back_to is not None
                            else not self.code[at].following for at in group))
            units.append(self.inner(set(group), nodes, head) if inner else group[0])
        result = Region(head, nodes, units, after, ends)
        if back_to is not None:
            self.loops.insert(place, result)
        return result

    def inner(self, group, nodes, head):
        entered = {to for at in nodes - group for to in self.code[at].following if to in group}
        first = head if head in group else min(entered or group)
        return self.region(first, group, first)

    def last(self, loop):
        """The branch back, whose source line names the loop."""
        return max(at for at in loop.nodes if loop.head in self.code[at].following)

    def costs(self, loop, inner, avoided=frozenset()):
        """Shortest and longest path past the avoided instructions, every loop inside run `inner` times;
        None if there is no path."""
        return (self.path_costs(loop, inner, avoided | self.atomics) or
                self.path_costs(loop, inner, avoided))

    def path_costs(self, region, inner, avoided):
        found = []
        for unit, after, ends in zip(region.units, region.after, region.ends):
            here = self.unit_costs(unit, inner, avoided)
            rest = [found[position] for position in after if found[position] is not None]
            rest += [Costs(Path(0, 0), Path(0, 0))] * ends
            found.append(None if here is None or not rest else Costs(
                add(here.shortest, min(r.shortest for r in rest)),
                add(here.longest, max(r.longest for r in rest))))
        return found[-1]

    def unit_costs(self, unit, inner, avoided):
        if isinstance(unit, Region):
            once = self.path_costs(unit, inner, avoided)
            return once and Costs(*(Path(p.slots * inner, p.double * inner) for p in once))
        if unit in avoided:
            return None
        instruction = self.code[unit]
        here = Path(instruction.name != "NOP", instruction.name in sass.DOUBLE)
        called = self.regions.get(instruction.target) if instruction.name == "CALL" else None
        if called is None:
            return Costs(here, here)
        below = self.path_costs(called, inner, avoided)
        return below and Costs(*(add(here, path) for path in below))


def add(a, b):
    return Path(a.slots + b.slots, a.double + b.double)


def strong_components(nodes, following):
    """Tarjan's algorithm: components as lists, one that leads to another after it."""
    index, low, waiting, on_stack, components = {}, {}, [], set(), []
    for root in sorted(nodes):
        if root in index:
            continue
        work = [(root, None)]
        while work:
            at, left = work.pop()
            if left is None:
                index[at] = low[at] = len(index)
                waiting.append(at)
                on_stack.add(at)
                left = iter(list(following(at)))
            for to in left:
                if to not in index:
                    work += [(at, left), (to, None)]
                    break
                if to in on_stack:
                    low[at] = min(low[at], low[to])
            else:
                if low[at] == index[at]:
                    cut = waiting.index(at)
                    components.append(waiting[cut:])
                    on_stack -= set(waiting[cut:])
                    del waiting[cut:]
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[at])
    return components
