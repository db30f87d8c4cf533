"""Reads the machine code of a cubin: the instructions of each kernel. No NVIDIA tool needed.

An instruction is 16 bytes since sm_70; its low 9 bits name the operation, the next three the form of
its operands. The names below were compared with nvdisasm 13.5 on sm_80, sm_90 and sm_100.
"""
import collections
import struct

from cubin import Cubin

OPCODES = {
    0x002: "MOV", 0x003: "P2R", 0x005: "CS2R", 0x006: "VOTE", 0x007: "SEL", 0x008: "FSEL",
    0x009: "FMNMX", 0x00b: "FSETP", 0x00c: "ISETP", 0x00f: "VIMNMX3", 0x010: "IADD3", 0x011: "LEA",
    0x012: "LOP3", 0x013: "IABS", 0x014: "VABSDIFF", 0x015: "VABSDIFF4", 0x016: "PRMT",
    0x017: "IMNMX", 0x019: "SHF", 0x01a: "SGXT", 0x01c: "PLOP3", 0x020: "FMUL", 0x021: "FADD",
    0x023: "FFMA", 0x024: "IMAD", 0x025: "IMAD.WIDE", 0x027: "IMAD.HI", 0x028: "DMUL",
    0x029: "DADD", 0x02a: "DSETP", 0x02b: "DFMA", 0x031: "HFMA2", 0x035: "HFMA2.MMA",
    0x036: "VIADD", 0x045: "I2FP", 0x046: "VIADDMNMX", 0x048: "VIMNMX", 0x082: "UMOV",
    0x086: "VOTEU", 0x087: "USEL", 0x08c: "UISETP", 0x090: "UIADD3", 0x091: "ULEA", 0x092: "ULOP3",
    0x099: "USHF", 0x0a4: "UIMAD", 0x0a5: "UIMAD.WIDE", 0x0b9: "ULDC", 0x0bb: "ULDC.64",
    0x0bd: "UFLO", 0x0bf: "UPOPC", 0x0ca: "R2UR", 0x100: "FLO", 0x101: "BREV", 0x102: "FCHK",
    0x105: "F2I", 0x106: "I2F", 0x107: "FRND", 0x108: "MUFU", 0x109: "POPC", 0x110: "F2F.64",
    0x111: "F2I.64", 0x112: "I2F.64", 0x113: "FRND.64", 0x118: "NOP", 0x119: "S2R",
    0x11b: "ENDCOLLECTIVE", 0x11c: "B2R", 0x11d: "BAR", 0x141: "BSYNC", 0x142: "BREAK",
    0x144: "CALL", 0x145: "BSSY", 0x146: "YIELD", 0x147: "BRA", 0x148: "WARPSYNC", 0x149: "BRX",
    0x14d: "EXIT", 0x150: "RET", 0x155: "BMOV", 0x156: "BMOV", 0x158: "BRXU", 0x15c: "BPT",
    0x15d: "NANOSLEEP", 0x180: "LD", 0x181: "LDG", 0x182: "LDC", 0x183: "LDL", 0x184: "LDS",
    0x185: "ST", 0x186: "STG", 0x187: "STL", 0x188: "STS", 0x189: "SHFL", 0x18a: "ATOM",
    0x18c: "ATOMS", 0x18d: "ATOMS.CAS", 0x18e: "RED", 0x18f: "CCTL", 0x192: "MEMBAR",
    0x1a1: "MATCH", 0x1a8: "ATOMG", 0x1aa: "QSPC", 0x1ab: "ERRBAR", 0x1ac: "LDCU", 0x1c2: "R2UR",
    0x1c3: "S2UR", 0x1c4: "REDUX",
}
DOUBLE = ("DADD", "DMUL", "DFMA", "DSETP")
INSTRUCTION_BYTES = 16

# MUFU functions, bits 74..77: those that IEEE division and square root start from; the others are
# approximations of elementary functions.
MUFU_ALLOWED = (4, 5, 6, 7)  # RCP, RSQ, RCP64H, RSQ64H

Kernel = collections.namedtuple("Kernel", "name code functions")
Function = collections.namedtuple("Function", "name first")

# target: index of the instruction that a branch or call goes to, or None. following: indices of what
# may run next, calls stepped over. line: Line of the source.
Instruction = collections.namedtuple("Instruction", "name low high always target following line")


def opcode_name(low_word):
    code = low_word & 0x1ff
    return OPCODES.get(code, f"0x{code:03x}")


def is_unconditional(low_word, high_word):
    """Neither the guard (bits 12..15), nor the predicate of a branch (87..90), nor .DIV (91)."""
    return low_word >> 12 & 15 == 7 and high_word >> 23 & 15 == 7 and not high_word >> 27 & 1


def branch_distance(low_word, high_word):
    """Bytes from the next instruction to the target (sm_90: bits 34..81, then bits 16..23 below)."""
    offset = ((low_word >> 34) | (high_word << 30)) & ((1 << 48) - 1)
    if offset >> 47:
        offset -= 1 << 48
    return ((offset << 8) | (low_word >> 16 & 0xff)) * 4


def forbidden(instruction):
    """What is wrong with an instruction, or ""."""
    function = instruction.high >> 10 & 15
    if instruction.name == "MUFU" and function not in MUFU_ALLOWED:
        return f"MUFU function {function}: approximate"
    return ""


def read_kernels(path):
    """The kernels of an sm_90 cubin."""
    cubin = Cubin(path)
    return [read_kernel(cubin, index, section) for index, section in enumerate(cubin.sections)
            if section.name.startswith(".text.")]


def read_kernel(cubin, index, section):
    name = section.name.removeprefix(".text.")
    computed = cubin.branch_targets(name)
    code = []
    for at, (low, high) in enumerate(struct.iter_unpack("<QQ", section.data)):
        opcode, target, following = opcode_name(low), None, [at + 1]
        always = is_unconditional(low, high)
        if opcode in ("BRA", "CALL"):
            target = at + 1 + branch_distance(low, high) // INSTRUCTION_BYTES
        if opcode == "BRA":
            following = [target] if always else [at + 1, target]
        elif opcode in ("BRX", "BRXU"):
            following = [to // INSTRUCTION_BYTES for to in computed[at * INSTRUCTION_BYTES]]
        elif opcode in ("EXIT", "RET") and low >> 12 & 15 == 7:
            following = []
        code.append(Instruction(opcode, low, high, always, target, following,
                                cubin.line_at(index, at * INSTRUCTION_BYTES)))
    functions = [Function(symbol.split("$")[-1], offset // INSTRUCTION_BYTES)
                 for symbol, offset in cubin.functions(index)]
    return Kernel(name, code, functions)
