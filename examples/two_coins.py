"""Two coins of unknown bias (Do & Batzoglou 2008): which one gave each set of ten tosses is hidden.

python examples/two_coins.py
"""

import numpy as np

import jensen


class TwoCoins(jensen.LatentModel):
    """Each row is the number of heads in ten tosses of one of two coins, chosen with chance 1/2."""

    domains = {"bias": jensen.domains.Interval((2,))}

    def expect(self, params, block):
        """The chance that each set of tosses came from each coin."""
        heads = block.x
        log_joint = np.log(0.5) + heads * np.log(params["bias"]) + (10 - heads) * np.log1p(-params["bias"])
        loglik = np.logaddexp.reduce(log_joint, axis=1)
        share = np.exp(log_joint - loglik[:, None]) * block.weights[:, None]
        return jensen.Sums(
            weight=block.total_weight,
            loglik=block.weights @ loglik,
            heads=(share * heads).sum(0),
            sets=share.sum(0),
        )

    def maximize(self, params, s):
        """Heads over tosses."""
        return {"bias": s.heads / (10 * s.sets)}

    def complete(self, params, s):
        """Expected complete-data log-likelihood, but for constants."""
        return s.heads @ np.log(params["bias"]) + (10 * s.sets - s.heads) @ np.log1p(-params["bias"])


if __name__ == "__main__":
    print(jensen.em(TwoCoins(), [5, 9, 8, 4, 7], {"bias": [0.6, 0.5]}))
