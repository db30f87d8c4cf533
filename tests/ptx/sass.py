"""Reads the machine code of a cubin: opcodes and loops of each kernel. No NVIDIA tool needed.

An instruction is 16 bytes since sm_70; its low 9 bits name the operation, the next three the form of
its operands. The names below were compared with nvdisasm 13.5 on sm_80, sm_90 and sm_100.
"""
import collections
import struct

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
BRANCH = 0x147
INSTRUCTION_BYTES = 16

Kernel = collections.namedtuple("Kernel", "name opcodes loops")
Loop = collections.namedtuple("Loop", "first last opcodes")


def opcode_name(low_word):
    code = low_word & 0x1ff
    return OPCODES.get(code, f"0x{code:03x}")


def branch_distance(low_word, high_word):
    """Bytes from the next instruction to the target (sm_90: bits 34..81, then bits 16..23 below)."""
    offset = ((low_word >> 34) | (high_word << 30)) & ((1 << 48) - 1)
    if offset >> 47:
        offset -= 1 << 48
    return ((offset << 8) | (low_word >> 16 & 0xff)) * 4


def read_kernels(path):
    """The kernels of an sm_90 cubin, each with its opcodes in order and its innermost loops."""
    with open(path, "rb") as file:
        image = file.read()
    if image[:5] != b"\x7fELF\x02":
        raise ValueError(f"{path} is not a 64-bit ELF file")
    table, = struct.unpack_from("<Q", image, 40)
    size, count, names_index = struct.unpack_from("<HHH", image, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, table + i * size) for i in range(count)]
    names = image[sections[names_index][4]:]
    kernels = []
    for section in sections:
        name = names[section[0]:names.index(b"\0", section[0])].decode()
        if name.startswith(".text."):
            code = image[section[4]:section[4] + section[5]]
            kernels.append(read_kernel(name.removeprefix(".text."), code))
    return kernels


def read_kernel(name, code):
    words = list(struct.iter_unpack("<QQ", code))
    opcodes = [opcode_name(low) for low, _ in words]
    loops = []
    for last, (low, high) in enumerate(words):
        if low & 0x1ff == BRANCH:
            first = last + 1 + branch_distance(low, high) // INSTRUCTION_BYTES
            if first < last:  # a branch to itself ends every kernel
                loops.append((first, last))
    innermost = [(first, last) for first, last in loops
                 if not any((first, last) != (f, l) and first <= f and l <= last for f, l in loops)]
    return Kernel(name, [o for o in opcodes if o != "NOP"],
                  [Loop(first, last, opcodes[first:last + 1]) for first, last in sorted(innermost)])
