"""dominance_subset: the actions that no other beats, objective by objective in their order of importance.

A relation that binary32 sums could turn is no ground for a comparison: the state is left out then (none is today)."""
import math

from formula_dominance import INF, SHARED, State, options_of, per_objective, quantile_dominance
from formula_dominance_order import above_of, classes_of
from formula_dominance_pairwise import OPTIONS
from formula_values import rounded

DEFAULTS = {**SHARED, "theta": None, "eta": None, "mode": "cascade", "within_class": "pareto", "rank": None, "above": None,
            "on_empty": "keep", "pick": "mean", "pick_weights": None, "drop_nan": False}
CHOICES = {**OPTIONS, **{name: DEFAULTS[name] for name in ("theta", "eta", "mode", "within_class", "rank", "above", "on_empty",
                                                           "pick", "pick_weights", "drop_nan")}}
PRESETS = {"subset.lexicographic": CHOICES, "subset.pareto": {**CHOICES, "rank": "equal"},
           "subset.independent": {**CHOICES, "rank": "equal", "within_class": "meet"},
           "subset.rulebook": {**CHOICES, "mode": "rulebook"}, "subset.slack": {**CHOICES, "theta": .5}}
FALLBACK, BRANCH_SKIPPED, NAN_SEEN, NO_VALID_ACTION, CYCLE = 1, 2, 4, 8, 16


class Unclear(Exception):
    """A comparison that rounding decides."""


def at_least(x, y, error):
    if x != y and abs(x - y) <= error * (abs(x) + abs(y)):
        raise Unclear
    return x >= y


class Relation:
    """Who beats whom under each objective of a state, and by what share."""

    def __init__(self, o, state):
        self.o, self.state = o, state
        count = state.objectives
        theta = o.theta if isinstance(o.theta, list) else [.75 if o.theta is None else o.theta] * count
        self.theta, self.eta = per_objective(theta, .75, count), per_objective(o.eta, 0.0, count)
        self.known = {}

    def sums(self, m, a, b):
        if (m, a, b) not in self.known:
            self.known[m, a, b] = self.state.compared(m, a, b)
        return self.known[m, a, b]

    def beats(self, m, a, b):
        o, s, theta = self.o, self.sums(m, a, b), self.theta[m]
        if any(map(math.isnan, (s.won, s.lost, s.ahead))) or math.isinf(s.won) or math.isinf(s.lost):
            return False
        exact = o.measure == "mann_whitney" or s.error == 0
        means = o.power == 1 and not o.integrate and self.state.delta[m] == 0
        if s.ahead <= 0 or not exact and not means and not at_least(s.won, s.lost, s.error):
            return False
        if self.eta[m] > 0 and at_least(self.eta[m] * s.unit, s.ahead, 0.0 if exact or means else s.error):
            return False
        if o.measure == "mann_whitney" or o.power == 0 and o.ties == "half":
            return at_least(s.won + s.tied / 2, theta * (s.won + s.lost + s.tied), s.error)
        return s.lost == 0 if theta == 1 else at_least((1 - theta) * s.won, theta * s.lost, 2 * s.error)

    def share(self, m, a, b):
        return rounded(quantile_dominance(self.o, self.sums(m, a, b))[0], "F32")

    def unbeaten(self, m, actions):
        return [a for a in actions if not any(self.beats(m, b, a) for b in actions if b != a)]

    def maximin(self, objectives, actions):
        """Actions whose least share over the others is largest."""
        least = {}
        for a in actions:
            shares = [self.share(m, a, b) for b in actions if b != a for m in objectives]
            least[a] = min((s for s in shares if not math.isnan(s)), default=INF)
        return [a for a in actions if least[a] == max(least.values())]


def top_cycle(actions, beats):
    """Those that reach whatever reaches them."""
    reach = {a: {b for b in actions if b != a and beats(a, b)} for a in actions}
    for via in actions:
        for a in actions:
            if via in reach[a]:
                reach[a] |= reach[via]
    return [a for a in actions if all(b in reach[a] for b in actions if b != a and a in reach[b])]


class Filter:
    """Goes through the classes of one state."""

    def __init__(self, o, relation, valid):
        self.o, self.relation, self.flags = o, relation, 0
        count = relation.state.objectives
        self.above = above_of(o, count)
        self.classes = classes_of(self.above)
        self.subset = {}
        self.kept = {}  # of each objective: what its class kept
        if not valid:
            self.subset = self.kept = {m: [] for m in range(count)}
            self.final = []
        elif o.mode == "rulebook":
            found = [a for a in valid if not any(self.overrules(b, a) for b in valid if b != a)]
            self.flags |= 0 if found else CYCLE
            self.final = self.left(range(count), valid, found, self.overrules)
            self.subset = self.kept = {m: self.final for m in range(count)}
        else:
            self.cascade(valid)

    def left(self, objectives, actions, found, beats):
        if found:
            return found
        self.flags |= FALLBACK
        return {"keep": lambda: actions, "maximin": lambda: self.relation.maximin(objectives, actions),
                "top_cycle": lambda: top_cycle(actions, beats)}[self.o.on_empty]()

    def overrules(self, b, a):
        """RULEBOOK: an objective excuses those below it."""
        beats, count = self.relation.beats, self.relation.state.objectives
        ahead, behind = [m for m in range(count) if beats(m, b, a)], [m for m in range(count) if beats(m, a, b)]
        return bool(ahead) and all(any(self.above[k][m] for k in ahead) for m in behind)

    def met(self, sets):
        result = None
        for s in sets:
            both = s if result is None else [a for a in result if a in s]
            if both:
                result = both
            else:
                self.flags |= BRANCH_SKIPPED
        return result

    def cascade(self, valid):
        for c in self.classes:
            actions = self.met([self.kept[k.members[0]] for k in c.directly]) if c.directly else valid
            kept = self.of_class(c.members, actions)
            self.kept.update((m, kept) for m in c.members)
        below = [c for c in self.classes if not any(c in k.above for k in self.classes)]
        self.final = self.met([self.kept[c.members[0]] for c in sorted(below, key=lambda c: c.members[0])])

    def of_class(self, members, actions):
        beats = self.relation.beats
        if len(members) == 1 or self.o.within_class == "meet":
            alone = {m: self.relation.unbeaten(m, actions) for m in members}
            if not all(alone.values()):
                self.flags |= CYCLE
            found = [a for a in actions if all(a in alone[m] for m in members)]
            kept = self.left(members, actions, found, lambda a, b: any(beats(m, a, b) for m in members))
            self.subset.update(alone if len(members) > 1 else {members[0]: kept})
            return kept

        def drops(a, b):
            return any(beats(m, a, b) for m in members) and not any(beats(m, b, a) for m in members)

        found = [b for b in actions if not any(drops(a, b) for a in actions if a != b)]
        self.flags |= 0 if found else CYCLE
        kept = self.left(members, actions, found, drops)
        self.subset.update((m, kept) for m in members)
        return kept


def best(scores):
    """Of (action, score): the first with the largest score, NaN aside unless all are."""
    scored = [(s, -a) for a, s in scores if not math.isnan(s)]
    return -max(scored)[1] if scored else min((a for a, _ in scores), default=-1)


def action_of(o, case, b, found):
    state, final = found.relation.state, found.final
    if not final or o.pick == "none":
        return -1
    if o.pick == "first":
        return final[0]
    if o.pick == "random":
        return final[(case.inputs["random"][b] % 2 ** 32) * len(final) // 2 ** 32]
    if o.pick == "maximin":
        return found.relation.maximin(range(state.objectives), final)[0]
    last = max(found.classes, key=lambda c: (len(c.above), c.members[-1]))
    weights = o.pick_weights or [float(m in last.members) for m in range(state.objectives)]
    return best([(a, sum(rounded(w, "F32") * state.sums[m][a] for m, w in enumerate(weights) if w != 0)) for a in final])


def bits(actions, words):
    values = [sum(1 << a % 32 for a in actions if a // 32 == word) for word in range(words)]
    return [v - 2 ** 32 if v >= 2 ** 31 else v for v in values]  # the cases hold them as signed integers


def results(case):
    o = options_of(case, DEFAULTS, PRESETS)
    states, objectives, actions, _ = case.inputs["q"].shape
    words = (actions + 31) // 32
    out = {name: [] for name in ("subset", "final", "action", "greedy", "flags")}
    unsorted = bad_weight = 0
    for b in range(states):
        valid = [a for a in range(actions) if "valid" not in case.inputs or case.inputs["valid"][b * actions + a]]
        state = State(o, case, b)
        bad_weight += state.bad_weight
        unsorted += state.unsorted
        seen = any(state.rows[m][a] is None for m in range(objectives) for a in valid)
        if o.drop_nan:
            valid = [a for a in valid if not any(state.nan[m][a] for m in range(objectives))]
        try:
            found = Filter(o, Relation(o, state), valid)
            out["action"].append(action_of(o, case, b, found))
        except Unclear:
            sizes = {"subset": objectives * words, "final": words, "action": 1, "greedy": objectives, "flags": 1}
            for name, size in sizes.items():
                out[name] += [None] * size
            continue
        for m in range(objectives):
            out["subset"] += bits(found.subset[m], words)
            out["greedy"].append(best([(a, state.sums[m][a]) for a in found.subset[m] or found.kept[m]]))
        out["final"] += bits(found.final, words)
        out["flags"].append(found.flags | (NAN_SEEN if seen else 0) | (0 if valid else NO_VALID_ACTION))
    return {**out, "diagnostics.unsorted": [unsorted], "diagnostics.bad_weight": [bad_weight]}
