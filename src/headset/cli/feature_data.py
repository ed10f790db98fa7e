"""The commands of feature values: training sets, verification, lineage."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from headset.app import open_installation
from headset.cli.features import features
from headset.cli.terminal import (
    HOME,
    HomeOption,
    JsonOption,
    check_range,
    err,
    out,
    print_json,
    progress_bars,
    read_config,
)
from headset.core.clock import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headset.features.audit import Verified
    from headset.features.definition import FeatureService
    from headset.monitoring.lineage.graph import Lineage

__all__ = ["features"]

_HOURS_LIMIT = 87_840
_LIMIT = 1_000


@features.command(epilog="Example: headset features backfill moments.csv --service risk --out set.parquet")
def backfill(
    rows: Annotated[
        Path, typer.Argument(help="CSV or Parquet: as_of, a column for each entity, and perhaps label and label_time.")
    ],
    out_path: Annotated[Path, typer.Option("--out", help="The Parquet file to write.")],
    service: Annotated[str, typer.Option("--service", help="Name of the feature service.")] = "risk",
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Build a training set: the values that features had at each moment of a table, and nothing later.

    Features computed on demand need the request's columns, such as sentiment; without them they are left out.
    """
    from headset.features.entity_table import read_rows
    from headset.features.log_history import log_history
    from headset.features.training_set import build_training_set, check_rows, check_target

    check_target(out_path)
    with open_installation(read_config(home)) as parts, progress_bars(quiet=json) as progress:
        table = read_rows(rows)
        wanted, left_out = _computable(parts.catalogue.service(service), table.column_names)
        check_rows(wanted, table)
        known = log_history(
            parts.log, parts.signals(), wanted.views, progress=lambda done: progress("read the log", done)
        )
        with closing(known.history):
            progress("compute features", 0.0)
            made = build_training_set(
                wanted, table, history=known.history, position=known.position, newest=known.newest
            )
            made.write(out_path)
            progress("compute features", 1.0)
    told = {
        "path": str(out_path),
        "rows": made.rows,
        "service": made.service,
        "service_version": made.service_version,
        "features": made.features,
        "position": made.position,
        "fingerprint": made.fingerprint,
        "left_out": left_out,
    }
    if json:
        print_json(told)
        return
    out.print(f"{made.rows} rows with {len(made.features)} features of {made.service} {made.service_version}")
    for name, missing in left_out.items():
        out.print(f"  left out: {name}, which needs the column {', '.join(missing)}", highlight=False)
    out.print(f"written to {out_path}, fingerprint {made.fingerprint[:12]}…", highlight=False, soft_wrap=True)


@features.command(epilog="Example: headset features verify --hours 24")
def verify(
    hours: Annotated[float | None, typer.Option("--hours", help="Look back so far; all time when left out.")] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Compute the features of decisions again from the log; exit with 1 where one comes out otherwise."""
    if hours is not None:
        check_range("hours", hours, _HOURS_LIMIT)
    with open_installation(read_config(home)) as parts, progress_bars(quiet=json) as progress:
        since = 0 if hours is None else parts.clock.now() - round(timedelta(hours=hours).total_seconds() * MICROSECONDS)
        found = parts.audit().catch_up(since=since, progress=lambda done: progress("compute again", done))
    if json:
        print_json(found)
    else:
        _print_verified(found)
    if found.mismatched:
        raise typer.Exit(1)


@features.command(epilog="Example: headset features lineage sentiment.mean")
def lineage(
    name: Annotated[
        str,
        typer.Argument(help="A decision id; or a view, feature, event type, data set, model, model@version or commit."),
    ],
    limit: Annotated[int, typer.Option("--limit", min=0, max=_LIMIT, help="Source events named for each view.")] = 20,
    openlineage: Annotated[
        str | None, typer.Option("--openlineage", help="Also write its training runs as OpenLineage: a file, or a URL.")
    ] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Tell where a decision comes from; of anything else, who breaks if it changes."""
    from headset.monitoring.lineage.tree import render

    with open_installation(read_config(home)) as parts:
        found = parts.lineage(name, limit=limit)
    if openlineage is not None:
        _export(found, openlineage)
    if json:
        print_json(found)
    else:
        out.print(render(found))


def _export(found: Lineage, target: str) -> None:
    """Write its training runs as OpenLineage to a file, or send them to a URL."""
    from headset.backends.openlineage import run_events, send_events, without_userinfo, write_events

    events = run_events(found)
    if target.lower().startswith(("http://", "https://")):
        send_events(events, target)
    else:
        write_events(events, Path(target))
    err.print(
        f"{len(events)} OpenLineage events written to {without_userinfo(target)}", highlight=False, soft_wrap=True
    )


def _computable(service: FeatureService, columns: Sequence[str]) -> tuple[FeatureService, dict[str, list[str]]]:
    """``service`` without the on-demand features whose request's columns are missing, and what each of these lacks."""
    from msgspec.structs import replace

    from headset.features.on_demand import ON_DEMAND, REQUEST

    lacking = {
        feature.name: [name for name in feature.columns if name in REQUEST and name not in columns]
        for feature in service.on_demand
    }
    kept = tuple(feature for feature in service.on_demand if not lacking[feature.name])
    left_out = {f"{ON_DEMAND}.{name}": missing for name, missing in lacking.items() if missing}
    return (replace(service, on_demand=kept) if left_out else service), left_out


def _print_verified(found: Verified) -> None:
    out.print(f"{found.checked} decisions computed again, {found.mismatched} came out otherwise")
    for reason, count in sorted(found.passed_over.items()):
        out.print(f"  {count} passed over: {reason}")
    if found.mismatches:
        table = Table("decision", "offset", "served", "computed")
        for each in found.mismatches:
            table.add_row(each.decision_id, str(each.offset), each.served, each.computed)
        out.print(table)
