"""What results say of themselves when they are printed, or shown in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jensen.core.model import name_of
from jensen.data.frames import default_names
from jensen.fit.classes.result import DiscriminantFit
from jensen.fit.fitted import FittedMixture
from jensen.fit.record import Fit
from jensen.fit.result import MixtureFit
from jensen.fit.selection.table import CRITERION_NAMES, Selection
from jensen.infer.diagnose import Diagnosis
from jensen.infer.lrt_record import BootstrapLRT
from jensen.report.cards import Card
from jensen.report.facts import describe, deviations, facts, title_of
from jensen.report.tables import Table, table_of_components
from jensen.report.words import counted, distinct, fixed
from jensen.store.record import fit_info

# Numbers of an array, and mixtures of a choice, that are printed.
_NUMBERS, _TOP = 8, 5


def mixture_card(fitted: FittedMixture, fit: MixtureFit | None = None) -> Card:
    """A mixture, with the record of its fit where there is one."""
    report = describe(fitted, {} if fit is None else fit_info(fit))
    weights, means = np.asarray(report["weights"]), np.asarray(report["means"])
    noise = None if fitted.box is None else report["noise"]["weight"]
    names = fitted.feature_names or default_names(fitted.n_features)
    table = table_of_components(weights, means, deviations(report), names, noise)
    warnings = () if fit is None else tuple(text for text in fit.warnings if text != fit.message)
    notes = [f"Warning: {_sentence(text)}" for text in warnings]
    return Card(title_of(report), facts(report), [table], notes, () if fit is None else fit.trace)


def fit_card(fit: Fit) -> Card:
    """A latent-variable model and its parameters."""
    tried, accepted = fit.extrapolations
    run = f"{counted(fit.n_iter, 'iteration')}, {fit.passes:g} passes; {fit.solver}"
    if tried:
        run += f", {accepted} of {tried} extrapolations accepted"
    told = [("objective", f"{fit.objective:.10g}"), ("run", run)]
    if fit.account is not None:
        told.append(("starts", str(fit.account)))
    told += [(name, _numbers(value)) for name, value in fit.params.values.items()]
    notes = [f"Warning: {_sentence(text)}" for text in fit.warnings if text != fit.message]
    return Card(f"Fit of {name_of(fit.model)}: {fit.message}", told, (), notes, fit.trace)


def selection_card(found: Selection, words: str) -> Card:
    """A choice among mixtures: the best ones, and in words how sure that is."""
    ranked = found.ranked()[:_TOP]
    values = [cell.value(found.criterion) for cell in ranked]
    title = f"{counted(len(found.cells), 'mixture')} by {CRITERION_NAMES[found.criterion]}, smaller is better"
    tables = []
    if ranked:
        columns = {
            CRITERION_NAMES[found.criterion]: [fixed(value, 3) for value in values],
            "behind": [fixed(value - values[0], 2) for value in values],
            "log-likelihood": [fixed(cell.fit.loglik, 3) for cell in ranked if cell.fit is not None],
            "parameters": [f"{cell.fit.n_free:,}" for cell in ranked if cell.fit is not None],
        }
        tables.append(_table(("mixture", *(cell.name for cell in ranked)), columns))
    return Card(title, (), tables, [words])


def diagnosis_card(diagnosis: Diagnosis) -> Card:
    """The paragraphs of a diagnosis."""
    title = "Diagnosis: nothing serious" if diagnosis.is_sound else "Diagnosis: not to be used as it is"
    told = [
        (finding.topic + (" (serious)" if finding.is_serious else ""), finding.text) for finding in diagnosis.findings
    ]
    return Card(title, told)


def tests_card(found: BootstrapLRT) -> Card:
    """Tests of K against K + 1 components."""
    columns = {
        "statistic": [f"{test.statistic:.4g}" for test in found.tests],
        f"{100.0 * (1.0 - found.level):g} % of draws": [
            f"{np.quantile(test.draws, 1.0 - found.level):.4g}" for test in found.tests
        ],
        "p-value": [
            f"{test.p_value:.3g}" + ("" if test.is_complete else f" after {len(test.draws)} draws")
            for test in found.tests
        ],
    }
    lead = ("components", *(f"{test.n_components + 1} against {test.n_components}" for test in found.tests))
    title = f"Bootstrap likelihood-ratio tests, {found.covariance_type} covariances, {found.n_boot} draws each"
    notes = [f"Note: {note}" for note in (*found.notes, *(note for test in found.tests for note in test.notes))]
    tables = [_table(lead, columns)] if found.tests else []
    return Card(f"{title}, seed {found.seed}", (), tables, [found.conclusion, *notes])


def discriminant_card(fit: DiscriminantFit) -> Card:
    """Classes and their densities."""
    kind = "a mixture for each class" if fit.kind == "mixture" else "one Gaussian for each class"
    unlabelled = f", {fit.n_unlabelled:,} of them unlabelled" if fit.n_unlabelled else ""
    told = [
        ("rows", f"{fit.n_rows:,}{unlabelled}"),
        ("log-likelihood", fixed(fit.loglik, 3)),
        ("BIC", f"{fixed(fit.bic, 3)} (smaller is better; {fit.n_free} free parameters)"),
        ("ended", fit.status.message.split(":")[0]),
    ]
    columns = {
        "rows": [f"{n:,.6g}" for n in fit.class_weight],
        "share": [f"{share:.1%}" for share in fit.priors],
        "components": [str(k) for k in fit.n_components],
        "covariance": list(fit.covariance_types),
    }
    table = _table(("class", *distinct(fit.names, 24)), columns)
    notes = [f"Warning: {_sentence(text)}" for text in fit.warnings]
    return Card(f"Discriminant analysis: {kind}", told, [table], notes, fit.trace)


def _table(lead: Sequence[str], columns: dict[str, list[str]]) -> Table:
    wide = max(map(len, lead))
    cells = tuple(tuple(f"{cell:>{max(map(len, column))}}" for cell in column) for column in columns.values())
    return Table(tuple(f"{label:<{wide}}" for label in lead), tuple(columns), cells)


def _numbers(value: Any) -> str:
    flat = np.ravel(value)
    text = "  ".join(f"{number:.6g}" for number in flat[:_NUMBERS])
    return text if flat.size <= _NUMBERS else f"{text}  ... ({flat.size} numbers)"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
