"""A mixture for each class: what is chosen, what is set aside, and what becomes of small classes."""

import numpy as np
import pytest
from mixtures import fit, table

from jensen.datasets import load
from jensen.errors import InputError
from jensen.families.shapes import SHAPES
from jensen.fit.classes.mixtures import fit_class_mixtures, rounding_variances
from jensen.fit.classes.result import fit_edda
from jensen.fit.classes.rows import ClassRows, labels_beside
from jensen.fit.summary import summarise

IRIS = load("iris").data
SPECIES = np.unique(load("iris").target, return_inverse=True)[1]


def class_rows(x, labels, weight=None):
    source = labels_beside(np.asarray(x, dtype=np.float64), np.asarray(labels), weight)
    return ClassRows(source, tuple("abcdefgh"[: int(labels.max()) + 1]), summarise(source))


def fitted(x, labels, n_components=(1,), shapes=("full",), weight=None, **more):
    n_classes = labels.max() + 1
    return fit_class_mixtures(
        class_rows(x, labels, weight), [list(n_components)] * n_classes, [list(shapes)] * n_classes, **more
    )


def test_every_class_is_fitted_to_its_own_rows():
    found = fitted(IRIS, SPECIES, (2,), ("diag",), reg_covar=1e-4)
    for c, mixture in enumerate(found.mixtures):
        alone = fit(IRIS[SPECIES == c], 2, covariance_type="diag", reg_covar=1e-4, n_init="auto")
        order, expected = (one.params["means"][:, 0].argsort() for one in (mixture, alone))
        np.testing.assert_allclose(mixture.params["means"][order], alone.params["means"][expected], rtol=1e-4)
    joint = found.log_joint(IRIS)
    assert joint[np.arange(150), SPECIES].sum() == pytest.approx(found.loglik, rel=1e-12)
    assert found.n_free == 3 * (1 + 8 + 8) + 2
    assert found.bic == pytest.approx(-2 * found.loglik + found.n_free * np.log(150))


def test_one_component_for_each_class_is_a_gaussian_for_each():
    mixtures, edda = fitted(IRIS, SPECIES, reg_covar=0.0), fit_edda(class_rows(IRIS, SPECIES), ["full"], reg_covar=0.0)
    np.testing.assert_allclose(mixtures.log_joint(IRIS), edda.log_joint(IRIS), rtol=1e-9)
    assert mixtures.n_free == edda.n_free and mixtures.loglik == pytest.approx(edda.loglik, rel=1e-12)
    # Of one component every shape with axes of its own is the same, and goes by one name.
    assert fitted(IRIS, SPECIES, (1,), ("VEV", "EEE", "VVE")).covariance_types == ("full",) * 3


def test_classes_of_several_groups_take_several_components():
    rng = np.random.default_rng(0)
    centres = np.array([[-6.0, 0], [6, 0], [0, -6], [0, 6]])
    group = rng.integers(4, size=400)
    x = centres[group] + rng.standard_normal((400, 2))
    found = fitted(x, group // 2, (1, 2, 3), ("EII", "full"))
    assert found.n_components == (2, 2) and found.covariance_types == ("EII", "EII")
    predicted = found.log_joint(x).argmax(axis=1)
    assert (predicted == group // 2).mean() > 0.98
    # One Gaussian for each class cannot part them: their means are the same.
    assert (fit_edda(class_rows(x, group // 2), ["EEE"]).log_joint(x).argmax(axis=1) == group // 2).mean() < 0.6


def test_components_on_ties_are_set_aside():
    # Petals of setosa are recorded in steps of 0.1 cm, and 29 of 50 have the same width.
    found = fitted(IRIS, SPECIES, range(1, 6), tuple(SHAPES))
    # This is what mclust chooses too.
    assert found.n_components == (2, 1, 1) and found.covariance_types == ("tied", "full", "full")
    of_setosa = [cell for cell in found.table() if cell["class"] == "a"]
    # Spikes on the ties would have a BIC of -121 and less; none is taken for sound.
    assert min(cell["bic"] for cell in of_setosa if cell["sound"]) == pytest.approx(-35.72, abs=0.01)


@pytest.mark.parametrize("shape", ["EEE", "VEV"])
def test_rounding_makes_no_components(shape):
    # One Gaussian, recorded in whole standard deviations: five components on its ties have a smaller BIC.
    x = np.round(np.random.default_rng(1).normal(size=(160, 2)))
    found = fitted(x, np.arange(160) // 80, range(1, 6), (shape,))
    assert found.n_components == (1, 1)
    assert any("rounding" in cell["reason"] for cell in found.table())


def test_ties_among_continuous_values_make_no_components():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    x[:60:2, 0] = 0.0
    assert fitted(x, np.arange(120) // 60, (1, 2, 3), ("VVV",)).n_components == (1, 1)


def test_the_rounding_of_columns():
    rng = np.random.default_rng(0)
    x = np.column_stack([np.round(rng.normal(size=99), 1), rng.integers(0, 9, 99), np.full(99, 2.0), [0, 1] * 49 + [0]])
    np.testing.assert_allclose(rounding_variances(x), [0.01 / 12, 1 / 12, 0.0, 1 / 12], rtol=1e-9)
    assert (rounding_variances(rng.normal(size=(500, 2))) < 1e-6).all()


def test_weight_two_is_the_row_twice():
    weight = np.random.default_rng(1).integers(1, 3, 150).astype(float)
    times = weight.astype(int)
    one = fitted(IRIS, SPECIES, (1, 2), ("EII", "VVI"), weight)
    two = fitted(np.repeat(IRIS, times, axis=0), np.repeat(SPECIES, times), (1, 2), ("EII", "VVI"))
    assert one.n_components == two.n_components and one.covariance_types == two.covariance_types
    assert one.loglik == pytest.approx(two.loglik, rel=1e-7) and one.bic == pytest.approx(two.bic, rel=1e-7)
    np.testing.assert_allclose(one.priors, two.priors)


def with_few(n_b):
    rng = np.random.default_rng(2)
    return np.concatenate([rng.normal(size=(60, 3)), rng.normal(4.0, 1.0, (n_b, 3))]), np.repeat([0, 1], [60, n_b])


def test_a_small_class_has_one_gaussian():
    x, labels = with_few(3)
    found = fitted(x, labels, (1, 2), tuple(SHAPES))
    assert found.n_components[1] == 1 and found.covariance_types[1] in ("spherical", "diag")
    assert found.warnings == ()
    assert {cell["n_components"] for cell in found.table() if cell["class"] == "b"} == {1}


def test_a_class_of_one_row_has_the_covariance_of_all():
    x, labels = with_few(1)
    found = fitted(x, labels, (1, 2), tuple(SHAPES))
    np.testing.assert_allclose(found.mixtures[1].params["means"][0], x[-1])
    (told,) = found.warnings
    assert told.startswith("class b: its rows do not vary in columns 0, 1, 2: it takes the covariance within all")
    assert (found.log_joint(x).argmax(axis=1) == labels).all()


def test_what_cannot_be_had_is_told():
    x, labels = with_few(3)
    with pytest.raises(
        InputError, match=r"class b has 3 rows, from which no mixture of 2 components .* d \+ 1 = 4 rows"
    ):
        fitted(x, labels, (2,))


def test_a_column_that_does_not_vary_within_a_class():
    x = IRIS.copy()
    x[SPECIES == 1, 2] = 4.0
    found = fitted(np.column_stack([x, np.full(150, 7.0)]), SPECIES)
    (told,) = found.warnings
    assert told.startswith("class b: its rows do not vary in column 2: it takes the covariance within all classes")
    assert found.n_components[1] == 1
    with pytest.raises(InputError, match="class b has 50 rows.*its rows do not vary in column 2"):
        fitted(x, SPECIES, (2, 3))


def test_shares_that_are_given():
    priors = np.array([0.6, 0.3, 0.1])
    free, held = fitted(IRIS, SPECIES), fitted(IRIS, SPECIES, priors=priors)
    assert held.n_free == free.n_free - 2
    np.testing.assert_allclose(held.log_joint(IRIS) - free.log_joint(IRIS), np.tile(np.log(3 * priors), (150, 1)))


@pytest.mark.parametrize("fit_one", [fit_edda, fitted])
def test_records_print(fit_one):
    rows = class_rows(table(0, 90, 2, 3), np.arange(90) % 3)
    found = fit_edda(rows, ["EEE", "VVV"]) if fit_one is fit_edda else fitted(rows.source.x, np.arange(90) % 3)
    text = str(found)
    assert "Discriminant analysis: " in text and "BIC" in text and "\na  " in text
    assert repr(found).startswith("DiscriminantFit(3 classes, ")
    assert {"covariance_type", "name", "bic", "reason", "sound"} <= set(found.table()[0])


def test_where_every_mixture_is_thin_the_best_comes_with_a_word():
    x = np.round(np.random.default_rng(1).normal(size=(160, 2)))
    found = fitted(x, np.arange(160) // 80, (4, 5), ("EEE",))
    assert any("thinner than the rounding of the data: allow fewer" in told for told in found.warnings)
