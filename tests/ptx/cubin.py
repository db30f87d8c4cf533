"""The parts of a cubin that sass.py needs: code, functions, source lines, targets of computed branches.

A cubin is a 64-bit ELF file. Its .debug_line is DWARF 2 with one more operation, 0x90: two ULEB128,
the row of the call that was inlined here (0: none) and its function's name in .debug_str.
"""
import bisect
import collections
import os
import struct

INDIRECT_BRANCH_TARGETS = 0x34  # an attribute of .nv.info
INLINED_CALL = 0x90
NOBITS = 8
FUNCTION = 2

Section = collections.namedtuple("Section", "name kind data")
Symbol = collections.namedtuple("Symbol", "name kind section offset size")
Line = collections.namedtuple("Line", "offset file number function")  # function "": not inlined


def text_at(data, offset):
    return data[offset:data.index(b"\0", offset)].decode()


def read_sections(image):
    table, = struct.unpack_from("<Q", image, 40)
    size, count, names_index = struct.unpack_from("<HHH", image, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", image, table + i * size) for i in range(count)]
    names = image[headers[names_index][4]:]
    return [Section(text_at(names, h[0]), h[1], b"" if h[1] == NOBITS else image[h[4]:h[4] + h[5]])
            for h in headers]


class Cubin:
    def __init__(self, path):
        with open(path, "rb") as file:
            image = file.read()
        if image[:5] != b"\x7fELF\x02":
            raise ValueError(f"{path} is not a 64-bit ELF file")
        self.sections = read_sections(image)
        self.named = {section.name: section.data for section in self.sections}
        names = self.named[".strtab"]
        self.symbols = [Symbol(text_at(names, name), info & 15, section, offset, size)
                        for name, info, _, section, offset, size
                        in struct.iter_unpack("<IBBHQQ", self.named[".symtab"])]
        self.lines = self.read_lines()

    def functions(self, section):
        """(name, offset) of the functions in a section, in order."""
        return sorted(((s.name, s.offset) for s in self.symbols
                       if s.section == section and s.kind == FUNCTION), key=lambda f: f[1])

    def line_at(self, section, offset):
        lines = self.lines.get(section, [])
        at = bisect.bisect_right(lines, offset, key=lambda line: line.offset)
        return lines[at - 1] if at else Line(0, "", 0, "")

    def branch_targets(self, kernel):
        """Offset of a computed branch -> offsets that it may go to."""
        data, targets, at = self.named.get(f".nv.info.{kernel}", b""), {}, 0
        while at < len(data):
            form, attribute, size = struct.unpack_from("<BBH", data, at)
            at += 4
            if form != 4:  # then the size is the value
                continue
            if attribute == INDIRECT_BRANCH_TARGETS:
                words = list(struct.unpack_from(f"<{size // 4}I", data, at))
                while words:
                    branch, _, count = words[:3]
                    targets[branch] = words[3:3 + count]
                    words = words[3 + count:]
            at += size
        return targets

    def read_lines(self):
        """Section -> its lines in order."""
        data, lines = Reader(self.named.get(".debug_line", b"")), collections.defaultdict(list)
        sections = {offset: self.symbols[info >> 32].section for offset, info, _
                    in struct.iter_unpack("<QQq", self.named.get(".rela.debug_line", b""))}
        while data.at < len(data.bytes):
            self.read_line_program(data, sections, lines)
        return {section: sorted(rows, key=lambda line: line.offset) for section, rows in lines.items()}

    def read_line_program(self, data, sections, lines):
        end = data.number("<I") + data.at
        data.number("<H")
        start = data.number("<I") + data.at
        step, _, base, span, first_special = data.numbers("<BBbBB")
        operands = data.numbers(f"<{first_special - 1}B")
        folders, files = [""], [""]
        while folder := data.string():
            folders.append(folder)
        while name := data.string():
            files.append(os.path.join(folders[data.uleb()], name))
            data.uleb(), data.uleb()  # time and size
        data.at = start
        section, offset, file, number, function = 0, 0, 1, 1, ""

        def row():
            lines[section].append(Line(offset, files[file], number, function))

        while data.at < end:
            code = data.number("<B")
            if code >= first_special:
                offset += (code - first_special) // span * step
                number += base + (code - first_special) % span
                row()
            elif code == 0:
                size = data.uleb()
                after = data.at + size
                kind = data.number("<B")
                if kind == 1:  # end of a sequence
                    section, offset, file, number, function = 0, 0, 1, 1, ""
                elif kind == 2:
                    section = sections.get(data.at, 0)
                    offset = data.number("<Q")
                elif kind == INLINED_CALL:
                    context, name = data.uleb(), data.uleb()
                    function = text_at(self.named[".debug_str"], name) if context else ""
                data.at = after
            elif code == 1:
                row()
            elif code == 2:
                offset += data.uleb() * step
            elif code == 3:
                number += data.sleb()
            elif code == 4:
                file = data.uleb()
            elif code == 8:
                offset += (255 - first_special) // span * step
            elif code == 9:
                offset += data.number("<H")
            else:
                for _ in range(operands[code - 1]):
                    data.uleb()
        data.at = end


class Reader:
    def __init__(self, data):
        self.bytes, self.at = data, 0

    def numbers(self, form):
        values = struct.unpack_from(form, self.bytes, self.at)
        self.at += struct.calcsize(form)
        return values

    def number(self, form):
        return self.numbers(form)[0]

    def string(self):
        text = text_at(self.bytes, self.at)
        self.at += len(text) + 1
        return text

    def uleb(self):
        value = shift = 0
        while True:
            byte = self.number("<B")
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def sleb(self):
        start = self.at
        value = self.uleb()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> (bits - 1) else value
