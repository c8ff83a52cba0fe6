"""The mixture: its E-step under given responsibilities, what it says after the fit, and its samples."""

import numpy as np
import pytest
from mixtures import SHAPES, mixture, table

from jensen.core.block import Block


@pytest.fixture
def case():
    model = mixture(2, 2, "diag", ridge=0.5)
    params = model.parameters(weights=[0.2, 0.8], means=[[0, 0], [3, 1]], covariances=[[1, 2], [0.5, 1]])
    return model, params, Block({"x": table(0, 30, 2, 2)}, np.random.default_rng(0).random(30))


def test_what_follows_the_fit_uses_the_plain_density(case):
    model, params, block = case
    log_joint = model.family.log_density(params, block) + np.log(params["weights"])
    rows = np.log(np.exp(log_joint).sum(axis=1))
    share = np.exp(log_joint - rows[:, None])
    np.testing.assert_allclose(model.row_loglik(params, block), rows, rtol=1e-13)
    np.testing.assert_allclose(model.responsibilities(params, block), share, rtol=1e-12)
    np.testing.assert_array_equal(model.labels(params, block), share.argmax(axis=1))
    found = model.assess(params, block)
    assert found.loglik == pytest.approx(block.weight @ rows, rel=1e-13)
    assert found.map_loglik == pytest.approx(block.weight @ np.log(share.max(axis=1)), rel=1e-12)
    assert found.weight == block.weight.sum()
    assert found.merge(found).loglik == 2 * found.loglik
    # The E-step's own log-likelihood has the penalty of each component.
    assert model.expect(params, block).loglik < found.loglik


@pytest.mark.parametrize("shape", SHAPES)
def test_given_labels_are_one_hot_responsibilities(shape):
    model, x = mixture(3, 2, shape), table(0, 30, 2, 2)
    params = model.parameters(
        weights=np.full(3, 1 / 3),
        means=np.zeros((3, 2)),
        covariances=np.ones({"diag": (3, 2), "spherical": 3}[shape])
        if shape in ("diag", "spherical")
        else np.broadcast_to(np.eye(2), (3, 2, 2) if shape == "full" else (2, 2)),
    )
    labels = np.arange(30) % 4 - 1  # -1 is no component
    one_hot = (labels[:, None] == np.arange(3)).astype(float)
    weight = np.random.default_rng(0).random(30)
    by_label = model.expect_given(params, Block({"x": x, "labels": labels}, weight))
    by_share = model.expect_given(params, Block({"x": x, "responsibilities": one_hot}, weight))
    np.testing.assert_array_equal(by_label.components.scatter, by_share.components.scatter)
    np.testing.assert_allclose(by_label.components.counts, weight @ one_hot)
    assert model.maximize(params, by_label)["weights"].sum() == pytest.approx(1.0, abs=1e-15)


def test_a_component_of_weight_zero_takes_no_rows(case):
    model, params, block = case
    found = model.expect(params.replace(weights=[0.0, 1.0]), block)
    assert found.components.counts[0] == 0.0
    assert np.isfinite(found.loglik)


def test_samples_are_grouped_and_follow_the_weights(case):
    model, params, _ = case
    rows, labels = model.sample(params, 5000, np.random.default_rng(0))
    assert rows.shape == (5000, 2) and (np.diff(labels) >= 0).all()
    assert labels.mean() == pytest.approx(0.8, abs=0.02)
    np.testing.assert_allclose(rows[labels == 1].mean(axis=0), [3, 1], atol=0.06)


def test_merge_adds_up(case):
    model, params, block = case
    halves = [Block({"x": block.x[s]}, block.weight[s]) for s in (slice(11), slice(11, None))]
    merged = model.expect(params, halves[0]).merge(model.expect(params, halves[1]))
    whole = model.expect(params, block)
    assert merged.loglik == pytest.approx(whole.loglik, rel=1e-13)
    assert merged.weight == pytest.approx(whole.weight, rel=1e-14)
