"""A landscape for the search that is no model: heights over the integers, all of them known beforehand."""

from dataclasses import replace

from jensen import domains
from jensen.core.contracts import Run
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.errors import NumericalFailure
from jensen.fit.search.climbing import Climbing
from jensen.fit.search.landscape import Drawn, Verdict, Ways
from jensen.solve.loop import continued

# Three tops: 40 at 4, 60 at 12, 90 at 20.
HILLS = [0, 10, 20, 30, 40, 30, 20, 10, 20, 30, 40, 50, 60, 50, 40, 50, 60, 70, 80, 85, 90, 80]
LOW, MIDDLE, TOP = 4, 12, 20


def at(x):
    return Parameters({"x": x}, {"x": domains.Real(())})


class Hills:
    """A climb is a step to the higher neighbour at a time; starts come in the order that is given, again and again."""

    def __init__(self, starts, jumps=None, faulty=(), narrow=None, heights=HILLS, max_iter=1000, cost=0.0):
        self.cost, self.heights, self.starts, self.jumps = cost, heights, starts, jumps or {}
        self.faulty, self.narrow = faulty, narrow or {}
        self.interrupted, self.recent, self.slack, self.n_rows = False, [], 1e-3, 7
        self.regrouped, self.nearest, self.crossings = [], [], []
        self.asked, self.drawn, self.finished, self.max_iter = [], [], [], max_iter

    def draw(self, index):
        self.drawn.append(index)
        x = self.starts[index % len(self.starts)]
        if x is None:
            raise NumericalFailure(f"start {index} has no density")
        return Drawn(f"kind {index % 2}", at(x), self.cost)

    def climb(self, start, n_iter, before=0):
        x, trace, n_iter = int(start["x"]), [], max(min(n_iter, self.max_iter - before), 0)
        for n in range(n_iter + 1):
            trace.append(float(self.heights[x]))
            near = [y for y in (x - 1, x + 1) if 0 <= y < len(self.heights) and self.heights[y] > self.heights[x]]
            if not near or n == n_iter:
                break
            x = max(near, key=lambda y: self.heights[y])
        status = Status.CONVERGED if not near else Status.OUT_OF_ITERATIONS
        run = Run(at(x), None, trace[-1], status, len(trace) - 1, float(len(trace)), tuple(trace))
        self.recent.append(run)
        return run

    start_all, climb_all, finish_all = Climbing.start_all, Climbing.climb_all, Climbing.finish_all
    glance_all = Climbing.glance_all

    def crossed(self, params, others):
        asked = [(int(params["x"]), int(other["x"])) for other in others]
        self.crossings.append(asked)
        return [at(x) for pair in asked for x in self.jumps.get(pair, ())]

    def joined(self, short, finished):
        return continued(short, finished)

    def finish(self, start, index=None, before=0):
        self.finished.append(index)
        return self.climb(start, self.max_iter - before)

    def escapes(self, run, number, drawn):
        self.asked.append((int(run.params["x"]), number, drawn))
        found = self.jumps.get("drawn" if drawn else int(run.params["x"]), ())
        jumps = None if found is None else [("jump", at(x)) for x in found]
        return None if jumps is None else Ways([jumps] if drawn else [jumps[:5], jumps[5:]])

    def regroupings(self, run, number, nearest=False):
        self.regrouped.append((int(run.params["x"]), number))
        self.nearest.append(nearest)
        found = self.jumps.get(("groups", int(run.params["x"])), ())
        yield from ([at(x)] for x in (found[:1] if nearest else found))

    def judge(self, run):
        x = int(run.params["x"])
        price = self.narrow.get(x, 0.0)
        return Verdict(("sunk",) if x in self.faulty else (), ("narrow",) if price else (), price)

    def loglik(self, run):
        return run.objective + 1.0

    def same(self, one, other):
        return one["x"] == other["x"]


class Interrupted(Hills):
    """A person presses Ctrl-C in climb number `when`."""

    def __init__(self, starts, when, inside=False, **settings):
        super().__init__(starts, **settings)
        self.when, self.inside = when, inside

    def climb(self, start, n_iter, before=0):
        if len(self.recent) + 1 == self.when:
            if not self.inside:
                raise KeyboardInterrupt
            run = replace(super().climb(start, n_iter, before), status=Status.INTERRUPTED)
            self.recent[-1], self.interrupted = run, True
            return run
        return super().climb(start, n_iter, before)
