"""Importance of objectives: classes, which of them come before which."""


class Class:
    """members: objectives, rising. above: all classes before it; directly: those with none in between."""

    def __init__(self, members):
        self.members, self.above, self.directly = members, [], []


def classes_of(above):
    """Classes in an order in which every one comes after those above it, index order inside a level."""
    count = len(above)
    alike = {}
    for m in range(count):
        key = (tuple(above[m]), tuple(row[m] for row in above))
        alike.setdefault(key, []).append(m)  # equal rows and columns; a strict order has none between such objectives
    classes = [Class(members) for members in alike.values()]
    for c in classes:
        c.above = [k for k in classes if above[k.members[0]][c.members[0]]]
    for c in classes:
        c.directly = [k for k in c.above if not any(k in between.above for between in c.above)]
    return sorted(classes, key=lambda c: (depth(c), c.members[0]))


def depth(c):
    return 1 + max(map(depth, c.directly), default=-1)


def above_of(o, count):
    """above[m][k]: m comes before k. From the matrix, or ranks: smaller is more important; neither: rank m."""
    if o.above is not None:
        return [[bool(v) for v in o.above[m * count:(m + 1) * count]] for m in range(count)]
    rank = [0] * count if o.rank == "equal" else o.rank or list(range(count))
    return [[rank[m] < rank[k] for k in range(count)] for m in range(count)]
