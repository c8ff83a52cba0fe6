"""ABO blood groups: gene counting (Ceppellini, Siniscalco & Smith 1955); genotypes are hidden behind the four groups.

python examples/blood_groups.py
"""

import numpy as np

import jensen


class BloodGroups(jensen.LatentModel):
    """Counts of the groups (A, B, AB, O); frequencies of the alleles (A, B, O) under random mating."""

    domains = {"alleles": jensen.domains.Simplex(3)}

    def expect(self, params, block):
        """Count the alleles: of group A some are AA, some AO."""
        a, b, o = params["alleles"]
        n = block.weights @ block.x
        chance = np.array([a * a + 2 * a * o, b * b + 2 * b * o, 2 * a * b, o * o])
        aa, bb = n[0] * a * a / chance[0], n[1] * b * b / chance[1]
        ao, bo = n[0] - aa, n[1] - bb
        counts = [2 * aa + ao + n[2], 2 * bb + bo + n[2], 2 * n[3] + ao + bo]
        return jensen.Sums(weight=block.total_weight, loglik=n @ np.log(chance), counts=counts)

    def maximize(self, params, s):
        """Shares of the alleles."""
        return {"alleles": s.counts / s.counts.sum()}

    def complete(self, params, s):
        """Expected complete-data log-likelihood, but for constants."""
        return s.counts @ np.log(params["alleles"])


if __name__ == "__main__":
    print(jensen.em(BloodGroups(), [[186, 38, 13, 284]], {"alleles": [0.3, 0.2, 0.5]}))
