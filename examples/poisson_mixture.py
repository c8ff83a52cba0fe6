"""Deaths of women over 80 in The Times, by day (Hasselblad 1969): a mixture of two Poisson laws.

python examples/poisson_mixture.py
"""

import numpy as np
from scipy.special import gammaln

import jensen

DAYS = [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]


class PoissonMixture(jensen.LatentModel):
    """A share p of the days has the rate of the first law, the others that of the second."""

    domains = {"p": jensen.domains.Interval(()), "rates": jensen.domains.Positive((2,))}

    def row_loglik(self, params, block):
        """log P(x) of each day."""
        return np.logaddexp.reduce(self._log_joint(params, block.x), axis=1)

    def _log_joint(self, params, x):
        shares = np.array([params["p"], 1 - params["p"]])
        return np.log(shares) + x * np.log(params["rates"]) - params["rates"] - gammaln(x + 1)

    def expect(self, params, block):
        """Expected days and deaths under each law."""
        log_joint = self._log_joint(params, block.x)
        loglik = np.logaddexp.reduce(log_joint, axis=1)
        share = np.exp(log_joint - loglik[:, None]) * block.weights[:, None]
        return jensen.Sums(
            weight=block.total_weight, loglik=block.weights @ loglik, days=share.sum(0), deaths=(share * block.x).sum(0)
        )

    def maximize(self, params, s):
        """Deaths per day."""
        return {"p": s.days[0] / s.weight, "rates": s.deaths / s.days}

    def complete(self, params, s):
        """Expected complete-data log-likelihood, but for constants."""
        shares = np.array([params["p"], 1 - params["p"]])
        return s.days @ (np.log(shares) - params["rates"]) + s.deaths @ np.log(params["rates"])

    def sample(self, params, n, rng):
        """Draw n days."""
        rates = np.where(rng.random(n) < params["p"], *params["rates"])
        return rng.poisson(rates).astype(float)[:, None]


if __name__ == "__main__":
    print(jensen.em(PoissonMixture(), np.arange(10), {"p": 0.5, "rates": [1.0, 3.0]}, sample_weight=DAYS))
