"""`jensen fit` searches by default, and says in words what the search found and how to have it otherwise."""

import pytest

from jensen import datasets
from jensen.data.arrays import ArraySource
from jensen.fit.mixture import fit_mixture
from jensen.fit.settings import MixtureSettings


def fit(n_components, **settings):
    """What the library makes of faithful with the command's seed."""
    source = ArraySource(datasets.load("faithful").data)
    return fit_mixture(source, MixtureSettings(n_components, **{"n_init": "auto", "seed": 1, **settings}))


def starts_of(text):
    """The lines of a summary that tell of the starts, as one."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("  starts "))
    last = next(i for i in range(first + 1, len(lines)) if lines[i][2:10].strip())
    return " ".join(" ".join(lines[first:last]).split()).removeprefix("starts ")


def test_the_account_is_printed_in_80_columns(shell):
    text = shell("fit", "faithful", "-k", 3).stdout
    assert max(map(len, text.splitlines())) <= 80 and "Warning" not in text
    told, account = starts_of(text), fit(3).account
    expected = str(account).replace("degenerate='allow'", "--degenerate").rstrip(".")
    assert told == f"{expected} (seed 1)"
    assert "log-likelihood  -1,119.214" in text
    assert " starts ended at -1119.21; " in told and "Set aside: -1114.44 (component" in told


def test_what_is_set_aside_can_be_taken(shell):
    text = shell("fit", "faithful", "-k", 3, "--degenerate").stdout
    assert "log-likelihood  -1,114.440" in text
    assert "Set aside" not in text and "--degenerate" not in text
    told = shell.json("fit", "faithful", "-k", 3, "--degenerate")
    assert told["loglik"] == fit(3, degenerate="allow").loglik and told["settings"]["degenerate"] is True


def test_a_number_of_starts_means_no_search(shell):
    text = shell("fit", "faithful", "-k", 3, "--starts", 5).stdout
    assert starts_of(text) == "5 of 5 reached the best optimum (seed 1)"
    told = shell.json("fit", "faithful", "-k", 3, "--starts", 5)
    assert (told["starts"]["n"], told["starts"]["account"]) == (5, None)
    assert told["loglik"] == fit(3, n_init=5).loglik


def test_json_has_the_account_and_auto_is_the_default(shell):
    default, auto = shell.json("fit", "faithful", "-k", 3), shell.json("fit", "faithful", "-k", 3, "--starts", "auto")
    assert default["starts"] == auto["starts"] and default["loglik"] == auto["loglik"]
    expected = fit(3)
    assert default["starts"] == {
        "n": len(expected.starts),
        "agreeing": expected.account.optima[0].n_starts,
        "degenerate": sum(not start.is_sound for start in expected.starts),
        "account": str(expected.account),
    }
    assert default["loglik"] == expected.loglik and default["settings"]["starts"] == "auto"


def test_the_account_stays_with_the_model(shell, tmp_path):
    out = tmp_path / "m.safetensors"
    text = shell("fit", "faithful", "-k", 3, "--out", out).stdout
    assert starts_of(shell("show", out).stdout) == starts_of(text)


@pytest.mark.parametrize("seed", range(1, 4))
def test_every_seed_finds_the_same_height(shell, seed):
    told = shell.json("fit", "iris", "-k", 3, "-c", "tied", "--seed", seed)
    assert told["loglik"] == pytest.approx(-256.354, abs=1e-3) and told["warnings"] == []


def test_one_component_needs_no_search(shell):
    told = shell.json("fit", "faithful", "-k", 1)
    assert told["starts"] == {"n": 1, "agreeing": 1, "degenerate": 0, "account": None}
    assert starts_of(shell("fit", "faithful", "-k", 1).stdout) == "1, which is enough for one component (seed 1)"


def test_out_of_time_is_told(shell):
    text = shell("fit", "faithful", "-k", 4, "--max-time", 1e-9).stdout
    assert "stopped at the time limit" in text and "begun, not run to convergence" in text
    told = shell.json("fit", "faithful", "-k", 4, "--max-time", 1e-9)
    assert told["status"] == "out_of_time"
    assert told["starts"]["account"].endswith("The time limit ended the search early: this is the best so far.")


def test_a_choice_among_mixtures_says_that_the_best_are_searched(shell):
    text = shell("fit", "faithful", "-k", "2:3", "-c", "full,tied").stdout
    told = " ".join(text.split())
    assert "Each with 3 starts or more" in told and "searched each by itself, with more starts and escapes" in told
    assert "starts ended at -1126.32" in starts_of(text)
    counted = shell("fit", "faithful", "-k", "2:3", "-c", "full,tied", "--starts", 2).stdout
    assert "more starts and escapes" not in counted and "reached the best optimum (seed 1)" in starts_of(counted)
