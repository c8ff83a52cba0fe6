"""Genetic linkage (Dempster, Laird & Rubin 1977, section 1): four counts, of which one hides two.

python examples/linkage.py
"""

import numpy as np

import jensen


class Linkage(jensen.LatentModel):
    """Counts with the chances (1/2 + t/4, (1 - t)/4, (1 - t)/4, t/4); the first is a sum of 1/2 and t/4."""

    domains = {"t": jensen.domains.Interval(())}

    def expect(self, params, block):
        """Part the first count."""
        t, y = params["t"], block.weights @ block.x
        chance = np.array([0.5 + t / 4, (1 - t) / 4, (1 - t) / 4, t / 4])
        recombined = y[0] * (t / 4) / chance[0]
        return jensen.Sums(weight=block.total_weight, loglik=y @ np.log(chance), yes=recombined + y[3], no=y[1] + y[2])

    def maximize(self, params, s):
        """The share of the counts that depend on t."""
        return {"t": s.yes / (s.yes + s.no)}

    def complete(self, params, s):
        """Expected complete-data log-likelihood, but for what t leaves alone."""
        return s.yes * np.log(params["t"] / 4) + s.no * np.log((1 - params["t"]) / 4)


if __name__ == "__main__":
    print(jensen.em(Linkage(), [[125, 18, 20, 34]], {"t": 0.5}))
