"""``jensen predict``: the component of each row of new data."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from jensen.cli.charts import are_wanted, bar
from jensen.cli.options import FileName, Source, check_distinct, check_table_output
from jensen.cli.output import print_json, print_table, tell
from jensen.report.words import counted, printable


@click.command("predict", short_help="Tell the component of each row.")
@click.argument("model", type=FileName())
@click.argument("data", type=Source())
@click.option("--proba", is_flag=True, help="Also the probability of every component.")
@click.option("--out", type=FileName(), help="Write to this file (.csv, .tsv, .parquet, .arrow, .feather, .npy).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of CSV.")
def command(model: str, data: str, proba: bool, out: str | None, as_json: bool) -> None:
    """Tell for each row of DATA from which component of MODEL it most probably comes.

    Columns are found by their names, in any order; others may stand beside them. Components count from 0; noise and
    outliers of a trimmed mixture are -1. Without --out, the result goes to stdout as CSV.
    """
    from jensen.data.files import write_table
    from jensen.data.matching import read_matching
    from jensen.store import read_model

    check_table_output(out)
    check_distinct([model, data], [out])
    fitted = read_model(model).fitted
    rows = read_matching(data, fitted.feature_names, fitted.n_features).data
    columns: dict[str, Any] = {}
    if proba:
        probabilities = fitted.responsibilities(rows)
        columns = {f"p{k}": column for k, column in enumerate(probabilities.T)}
        if fitted.box is not None:
            columns["p_noise"] = columns.pop(f"p{fitted.n_components}")
    labels = fitted.labels(rows)
    columns = {"component": labels, **columns}
    if out is not None:
        write_table(out, columns)
    counts = np.bincount(labels[labels >= 0], minlength=fitted.n_components)
    n_outliers = int((labels < 0).sum())
    outliers = {"n_outliers": n_outliers} if fitted.box is not None or fitted.threshold is not None else {}
    if as_json:
        document = {"model": model, "data": data, "n_rows": len(labels), "n_components": fitted.n_components}
        found = {"counts": counts.tolist(), **outliers, "labels": labels.tolist(), "out": out}
        print_json(document | found | ({"probabilities": probabilities.tolist()} if proba else {}))
    elif out is None:
        print_table(columns)
    else:
        tell(f"{printable(out)}: {counted(len(labels), 'row')}")
        tell("component    rows")
        drawn = are_wanted(None)
        for k, count in enumerate(counts):
            tell(f"{k:>9}  {count:>6,}" + (f"  {bar(count, counts.max())}" if drawn else ""))
        if outliers:
            tell(f"{-1:>9}  {n_outliers:>6,}  outliers")
