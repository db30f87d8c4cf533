#!/usr/bin/env python3
"""Costs of paths through small programs written by hand. Needs no compiler and no GPU."""
import sys
import unittest

from cubin import Line
from flow import Flow, Path
from sass import Function, Instruction, Kernel


def kernel(program, functions=()):
    """program: lines `name`, `name >target` (a branch that may fall through) or `name =target` (one
    that never does; CALL: the function it calls)."""
    code = []
    for at, text in enumerate(program):
        name, _, target = text.partition(" ")
        to = int(target[1:]) if target else None
        following = [] if name in ("EXIT", "RET") else [at + 1]
        if target and name != "CALL":
            following = [to] if target[0] == "=" else [at + 1, to]
        code.append(Instruction(name, 0, 0, target[:1] != ">", to, following, Line(at, "", at, "")))
    return Kernel("k", code, [Function("k", 0), *(Function(*f) for f in functions)])


class FlowTest(unittest.TestCase):
    def costs(self, program, inner=1, functions=(), avoided=frozenset(), loop=0):
        flow = Flow(kernel(program, functions))
        return flow.costs(flow.loops[loop], inner, avoided)

    def test_straight_loop_counts_every_instruction_but_nop(self):
        costs = self.costs(["MOV", "LDG", "DADD", "NOP", "BRA >1", "EXIT"])
        self.assertEqual(costs.longest, Path(3, 1))
        self.assertEqual(costs.shortest, Path(3, 1))

    def test_two_sides_of_a_branch_are_alternatives(self):
        program = ["LDG", "BRA >4", "DMUL", "BRA =7", "FADD", "FADD", "FADD", "BRA >0", "EXIT"]
        costs = self.costs(program)
        self.assertEqual(costs.shortest, Path(5, 1))
        self.assertEqual(costs.longest, Path(6, 0))
        self.assertEqual(self.costs(program, avoided={5}).longest, Path(5, 1))
        self.assertIsNone(self.costs(program, avoided={0}))

    def test_inner_loops_run_as_often_as_told(self):
        program = ["LDG", "DADD", "BRA >1", "BRA >0", "EXIT"]
        self.assertEqual(self.costs(program, inner=4).longest, Path(10, 4))
        self.assertEqual(self.costs(program, loop=1).longest, Path(2, 1))

    def test_calls_count_what_they_call_but_not_slow_paths(self):
        program = ["CALL =5", "BRA >3", "CALL =7", "BRA >0", "EXIT", "DADD", "RET", "FADD", "RET"]
        called = [("_Zmine", 5), ("__cuda_slow", 7)]
        self.assertEqual(self.costs(program, functions=called).longest, Path(5, 1))

    def test_global_atomics_count_only_where_nothing_goes_round_them(self):
        self.assertEqual(self.costs(["BRA >2", "RED", "BRA >0", "EXIT"]).longest, Path(2, 0))
        self.assertEqual(self.costs(["LDG", "RED", "BRA >0", "EXIT"]).longest, Path(3, 0))

    def test_a_branch_to_itself_is_no_work(self):
        self.assertEqual([loop.head for loop in Flow(kernel(["LDG", "BRA >0", "EXIT", "BRA =3"])).loops], [0])


if __name__ == "__main__":
    sys.exit(unittest.main())
