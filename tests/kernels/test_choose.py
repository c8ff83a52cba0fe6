"""Which kernel runs, and how to ask for another."""

import os
import subprocess
import sys

import pytest

from jensen.kernels import choose

REQUIRED = os.environ.get("JENSEN_REQUIRE_NATIVE") == "1"
SAY = "from jensen.kernels.choose import choice as c; print(c().kernel, c().isa or '-', c().reason, sep='|')"
FIT = """
import numpy as np, jensen
X = np.random.default_rng(0).standard_normal((500, 3)) + np.repeat([[0.0], [9.0]], 250, axis=0)
print(repr(jensen.GaussianMixture(2, random_state=0).fit(X).score(X)))
"""


def outside(code, isa=None):
    """Run Python code in a fresh process under a JENSEN_ISA; the last line that it writes."""
    environ = {name: value for name, value in os.environ.items() if name != "JENSEN_ISA"}
    if isa is not None:
        environ["JENSEN_ISA"] = isa
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60)
    return (done.stdout or done.stderr).strip().splitlines()[-1]


def available():
    """Instruction sets of the native kernel here; none without it."""
    try:
        import jensen.kernels._native as native
    except ImportError:
        return []
    return list(native.available())


def test_the_native_kernel_is_installed_where_it_is_required():
    if not REQUIRED:
        pytest.skip("JENSEN_REQUIRE_NATIVE is not 1")
    assert available()[-1] == "base"


def test_the_widest_instruction_set_is_the_default():
    kernel, isa, reason = outside(SAY).split("|")
    if available():
        assert (kernel, isa, reason) == ("native", available()[0], "the widest that this machine runs")
    else:
        assert (kernel, isa) == ("portable", "-") and "was not built" in reason
    assert outside(SAY, "") == outside(SAY)


@pytest.mark.parametrize("isa", [*available(), " BASE " if available() else "Portable", "portable"])
def test_each_can_be_asked_for(isa):
    name = isa.strip().lower()
    kernel, found, reason = outside(SAY, isa).split("|")
    assert (kernel, found) == (("portable", "-") if name == "portable" else ("native", name))
    assert reason == "JENSEN_ISA asks for it"


def test_all_of_them_fit_the_same():
    scores = {name: float(outside(FIT, name)) for name in (*available(), "portable")}
    assert scores == pytest.approx(dict.fromkeys(scores, scores["portable"]), rel=1e-10)


def test_a_wrong_name_is_answered_with_the_choices():
    said = outside(FIT, "sse9")
    assert "InputError" in said and "sse9" in said
    if available():
        assert f"JENSEN_ISA must be one of {', '.join(available())}, portable here" in said
    else:
        assert "unset JENSEN_ISA" in said


def test_without_the_module_numpy_serves_and_says_why(monkeypatch):
    monkeypatch.setitem(sys.modules, "jensen.kernels._native", None)
    monkeypatch.delenv("JENSEN_ISA", raising=False)
    found = choose.choice.__wrapped__()
    assert (found.kernel, found.isa, found.available, found.module) == ("portable", "", (), None)
    assert "was not built" in found.reason
    monkeypatch.setenv("JENSEN_ISA", "base")
    with pytest.raises(choose.InputError, match="install Jensen where a C\\+\\+ compiler is, or unset JENSEN_ISA"):
        choose.choice.__wrapped__()
