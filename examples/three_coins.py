"""Three coins: A chooses B or C, and only the last toss is seen.

    python examples/three_coins.py

The answer depends on the start: the ten tosses tell of pi*p + (1-pi)*q alone, and Jensen says so by itself.
"""

import jensen

TOSSES = [1, 1, 0, 1, 0, 0, 1, 0, 1, 1]
STARTS = [(0.5, 0.5, 0.5), (0.4, 0.6, 0.7), (0.6, 0.5, 0.5)]


def main() -> None:
    """Fit from every start, and ask how sure the last answer is."""
    for pi, p, q in STARTS:
        fit = jensen.em(jensen.models.ThreeCoins(), TOSSES, {"pi": pi, "p": p, "q": q})
        end = ", ".join(f"{name} = {float(value):.6f}" for name, value in fit.params.values.items())
        print(f"from pi = {pi}, p = {p}, q = {q}:  {end};  log-likelihood {fit.objective:.6f}")
    print(f"\n{fit.diagnose()}\n\n{fit.standard_errors()}")


if __name__ == "__main__":
    main()
