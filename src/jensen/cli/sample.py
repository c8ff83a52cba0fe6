"""``jensen sample``: new rows from a mixture."""

from __future__ import annotations

import click

from jensen.cli.options import FileName, check_distinct, check_table_output
from jensen.cli.output import note, print_json, print_table
from jensen.report.words import counted


@click.command("sample", short_help="Draw rows from a mixture.")
@click.argument("model", type=FileName())
@click.option(
    "-n", "n_rows", type=click.IntRange(1), metavar="N", default=1000, show_default=True, help="Number of rows."
)
@click.option(
    "--seed", type=click.IntRange(0), metavar="N", help="Seed of the draws.  [default: a fresh one, which is told]"
)
@click.option("--out", type=FileName(), help="Write to this file (.csv, .tsv, .parquet, .arrow, .feather, .npy).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of CSV.")
def command(model: str, n_rows: int, seed: int | None, out: str | None, as_json: bool) -> None:
    """Draw rows from the mixture in the file MODEL, in random order.

    Without --out, they go to stdout as CSV.
    """
    from jensen.data.files import write_table
    from jensen.data.frames import default_names
    from jensen.numerics.streams import fresh_seed, stream
    from jensen.store import read_model

    check_table_output(out)
    check_distinct([model], [out])
    fitted = read_model(model).fitted
    chosen = fresh_seed() if seed is None else seed
    rng = stream(chosen, "sample")
    rows, _ = fitted.sample(n_rows, rng)
    # They come grouped by component, which would make a trap of every part of the file.
    rng.shuffle(rows)
    names = fitted.feature_names or default_names(fitted.n_features)
    columns = dict(zip(names, rows.T, strict=True))
    if out is not None:
        write_table(out, columns)
    if as_json:
        told = {"model": model, "n_rows": n_rows, "seed": chosen, "feature_names": list(names)}
        print_json({**told, "rows": rows.tolist() if out is None else None, "out": out})
        return
    if out is None:
        print_table(columns)
    else:
        note(f"{out}: {counted(n_rows, 'row')}")
    if seed is None:
        note(f"seed {chosen}")
