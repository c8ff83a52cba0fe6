"""Conformance suites: does a model, a family or a source that somebody wrote keep its contract?"""

from __future__ import annotations

from jensen.errors import ConformanceError as ConformanceError
from jensen.testing.family import FAMILY_CHECKS as FAMILY_CHECKS
from jensen.testing.family import check_family as check_family
from jensen.testing.model import MODEL_CHECKS as MODEL_CHECKS
from jensen.testing.model import check_model as check_model
from jensen.testing.report import Report as Report
from jensen.testing.source import SOURCE_CHECKS as SOURCE_CHECKS
from jensen.testing.source import check_source as check_source

__all__ = [
    "FAMILY_CHECKS",
    "MODEL_CHECKS",
    "SOURCE_CHECKS",
    "ConformanceError",
    "Report",
    "check_family",
    "check_model",
    "check_source",
]
