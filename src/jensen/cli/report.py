"""What there is to say of a search and of standard errors: mappings, which are printed as JSON or as text."""

from __future__ import annotations

from typing import Any

from jensen.cli.output import nulled
from jensen.fit.result import MixtureFit
from jensen.fit.selection.table import Selection
from jensen.store.record import finite


def describe_selection(selection: Selection) -> dict[str, Any]:
    """A search as JSON values: ``status, criterion, words``, what was run, and one record for each cell."""
    cells = [
        {key: finite(value) if isinstance(value, float) else value for key, value in row.items()}
        for row in selection.table()
    ]
    return {
        "status": selection.status.value,
        "criterion": selection.criterion,
        "words": selection.words(),
        "warnings": list(selection.warnings),
        "n_starts": selection.n_starts,
        "searched": selection.searched,
        "linked": selection.linked,
        "seconds": selection.seconds,
        "cells": cells,
    }


def describe_errors(fit: MixtureFit, x: Any, weight: Any) -> dict[str, Any]:
    """Standard errors and diagnosis of a fit as JSON values.

    Returns
    -------
    dict
        ``weights, means, covariances``: standard errors in the layout of the parameters, null where one is refused;
        ``method``; ``refused``, entries and reasons; ``notes``; ``diagnosis``, a list of ``topic, text, serious``.
        The first three are null where the mixture is too large for standard errors, and a note says so.
    """
    from jensen.errors import InputError
    from jensen.infer.mixtures import mixture_analysis, mixture_diagnosis

    analysis = mixture_analysis(fit.fitted, x, weight)
    told: dict[str, Any] = {"weights": None, "means": None, "covariances": None, "method": None, "refused": {}}
    try:
        errors = analysis.standard_errors()
    except InputError as error:
        told["notes"] = [str(error)]
    else:
        told |= {name: nulled(value.tolist()) for name, value in errors.values.items()}
        told |= {"method": errors.method, "refused": dict(errors.refused), "notes": list(errors.notes)}
    findings = mixture_diagnosis(analysis, fit).findings
    told["diagnosis"] = [{"topic": f.topic, "text": f.text, "serious": f.is_serious} for f in findings]
    return told
