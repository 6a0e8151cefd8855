"""What the demo tells at its end: one page for a person, the same as JSON for a program.

The keys are documented in ``docs/reference/demo-report.md``; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, LiteralString

import psycopg2
from psycopg2 import sql
from pydantic import BaseModel, ConfigDict
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table

STAGES = (
    ("raw_quality_vision", "image_metadata"),
    ("raw_quality_vision", "defect_annotations"),
    ("raw_qms", "inspection_results"),
    ("raw_erp", "production_orders"),
    ("marts", "fct_annotations"),
    ("marts", "quarantined_rows"),
    ("marts", "fct_image_labels"),
    ("marts", "training_dataset"),
    ("marts", "fct_predictions"),
    ("marts", "fct_reviews"),
    ("marts", "fct_overrides"),
)


PAIRS = 3
"""Pairs of classes that the page shows; the JSON holds all."""


class DemoReport(BaseModel):
    """Everything the demo found; see ``docs/reference/demo-report.md`` for each key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    seconds: float
    stage_seconds: dict[str, float]
    source_rows: dict[str, int]
    rows: dict[str, int]
    quarantined: dict[str, int]
    label_agreement: list[dict[str, Any]]
    split: dict[str, Any]
    checks: list[dict[str, Any]]
    training: dict[str, Any]
    test: dict[str, Any]
    gate: dict[str, Any]
    decision: dict[str, Any]
    parity: dict[str, Any]
    bundle_id: str
    serving: dict[str, Any]
    reviews: dict[str, Any]
    alerts: list[dict[str, Any]]
    look_next: dict[str, str]


def table_counts(dsn: str) -> dict[str, int]:
    """Returns the number of rows of each of `STAGES`, by ``schema.table``."""
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        counts: dict[str, int] = {}
        for schema, table in STAGES:
            place = sql.Identifier(schema), sql.Identifier(table)
            cursor.execute(sql.SQL("select count(*) from {}.{}").format(*place))
            counts[f"{schema}.{table}"] = sum(row[0] for row in cursor.fetchall())
        return counts


def source_counts(dsns: dict[str, str]) -> dict[str, int]:
    """Returns the number of rows of each source table, by ``schema.table``."""
    counts: dict[str, int] = {}
    for dsn in dsns.values():
        with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
            cursor.execute(
                """
                select schemaname, relname from pg_stat_user_tables
                where schemaname in ('inspection', 'qms', 'erp') order by 1, 2
                """
            )
            for schema, table in cursor.fetchall():
                place = sql.Identifier(schema), sql.Identifier(table)
                cursor.execute(sql.SQL("select count(*) from {}.{}").format(*place))
                counts[f"{schema}.{table}"] = sum(row[0] for row in cursor.fetchall())
    return counts


def quarantined(dsn: str) -> dict[str, int]:
    """Returns how many source rows were set aside, by reason."""
    found = rows(dsn, "select reason, count(*) as n from marts.quarantined_rows group by 1 order by 2 desc")
    return {row["reason"]: row["n"] for row in found}


def split_summary(dsn: str) -> dict[str, Any]:
    """Returns the newest release with its sizes, shares, dropped images and label counts by side."""
    (release,) = rows(
        dsn,
        """
        select release_id, as_of::text as as_of, policy, window_days
        from releases.split_releases order by created_at desc limit 1
        """,
    )
    sizes = {
        row["split"]: row["n"]
        for row in rows(dsn, "select split, count(*) as n from marts.training_dataset group by 1 order by 1")
    }
    dropped = rows(
        dsn,
        "select count(*) as n from releases.split_assignments where split = 'dropped' and release_id = %s",
        release["release_id"],
    )
    labels = rows(
        dsn,
        "select label, split, count(*) as n from marts.training_dataset group by 1, 2 order by 1, 2",
    )
    total = sum(sizes.values())
    return {
        **release,
        "sizes": sizes,
        "shares": {side: round(n / total, 3) for side, n in sizes.items()},
        "dropped_at_the_boundary": dropped[0]["n"],
        "labels": labels,
    }


def rows(dsn: str, query: LiteralString, *parameters: object) -> list[dict[str, Any]]:
    """Runs a query and returns its rows as dicts."""
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(query, parameters or None)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def render(report: DemoReport, console: Console) -> None:
    """Prints the page."""
    console.rule(f"[bold]From raw plant data to verdicts in {report.seconds / 60:.1f} minutes")
    console.print(_pair(_rows_panel(report), _quarantine_panel(report)))
    console.print(_pair(_split_panel(report), _agreement_panel(report)))
    console.print(_pair(_training_panel(report), _test_panel(report)))
    console.print(_pair(_gate_panel(report), _serving_panel(report)))
    console.print(_checks_panel(report))
    console.print(_next_panel(report))


def _rows_panel(report: DemoReport) -> Panel:
    return _panel("Rows", _table(("table", "rows"), [*report.source_rows.items(), *report.rows.items()]))


def _quarantine_panel(report: DemoReport) -> Panel:
    return _panel("Set aside, by reason", _table(("reason", "rows"), report.quarantined.items()))


def _split_panel(report: DemoReport) -> Panel:
    split = report.split
    sizes = [(side, n, f"{split['shares'][side]:.1%}") for side, n in split["sizes"].items()]
    note = f"{split['policy']} release {split['release_id'][:12]}, as of {split['as_of']}"
    dropped = f"{split['dropped_at_the_boundary']} images of straddling orders dropped"
    return _panel("Split", Group(_table(("side", "images", "share"), sizes), note, dropped))


def _agreement_panel(report: DemoReport) -> Panel:
    """Shows all scopes but, of the pairs of classes, only those that are mistaken most."""
    pairs = [row for row in report.label_agreement if row["scope"].startswith("pair:")]
    pairs.sort(key=lambda row: 2.0 if row["agreement_rate"] is None else row["agreement_rate"])
    others = [row for row in report.label_agreement if not row["scope"].startswith("pair:")]
    others.sort(key=lambda row: (not row["scope"].startswith("overall"), row["scope"]))
    found = [
        (row["scope"], row["pairs"], _share(row["agreement_rate"]), _number(row["kappa"]))
        for row in [*others, *pairs[:PAIRS]]
    ]
    return _panel("Label agreement", _table(("scope", "pairs", "rate", "kappa"), found))


def _training_panel(report: DemoReport) -> Panel:
    curve = [
        (epoch["epoch"], _number(epoch["train_loss"]), _number(epoch["validation_loss"]))
        for epoch in report.training["history"]
    ]
    return _panel("Training curve", _table(("epoch", "train loss", "validation loss"), curve))


def _test_panel(report: DemoReport) -> Panel:
    found = [
        (name, _share(value["value"]), _bounds(value), f"{value['successes']}/{value['total']}")
        for name, value in report.test.items()
    ]
    return _panel(
        "Test, exported model on original bytes", _table(("metric", "value", "95 %", "count"), found)
    )


def _gate_panel(report: DemoReport) -> Panel:
    verdict, decision = report.gate["verdict"], report.decision
    lines = [f"[bold]{verdict}[/]", *(f"- {reason}" for reason in report.gate["reasons"])]
    lines.append(f"[bold]{decision['action']}[/] by {decision['actor']}: {decision['reason']}")
    lines.append(f"bundle {report.bundle_id[:16]}")
    parity = report.parity
    lines.append(
        f"ONNX against torch: largest difference {parity['max_difference']:.1e}, "
        f"{parity['flips']} verdict flips in {parity['images']} images"
    )
    return _panel("Gate, and what a person did about it", "\n".join(lines))


def _serving_panel(report: DemoReport) -> Panel:
    serving = report.serving
    found = [
        ("parts answered", serving["answered"]),
        ("P50 / P95 / P99 ms", " / ".join(f"{serving[key]:.0f}" for key in ("p50_ms", "p95_ms", "p99_ms"))),
        *((f"action {action}", n) for action, n in serving["actions"].items()),
        *((f"routed for {reason}", n) for reason, n in serving["route_reasons"].items()),
        ("reviewed by people", report.reviews["reviews"]),
        ("overridden", report.reviews["overrides"]),
        *((f"alert {alert['rule']} ({alert['scope']})", alert["severity"]) for alert in report.alerts),
    ]
    return _panel("Served", _table(("what", ""), found))


def _checks_panel(report: DemoReport) -> Panel:
    states: dict[str, int] = {}
    for check in report.checks:
        states[check["state"]] = states.get(check["state"], 0) + 1
    lines = [", ".join(f"{n} {state}" for state, n in states.items())]
    lines += [
        f"[yellow]{c['state']}[/] {c['asset']}: {c['name']} {c['description']}"
        for c in report.checks
        if c["state"] != "passed"
    ]
    return _panel("Checks on data and models", "\n".join(lines))


def _next_panel(report: DemoReport) -> Panel:
    return _panel("Where to look next", _table(("", ""), report.look_next.items()))


def _pair(left: Panel, right: Panel) -> Table:
    grid = Table.grid(expand=True, padding=0)
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    grid.add_row(left, right)
    return grid


def _panel(title: str, body: RenderableType) -> Panel:
    return Panel(body, title=title, title_align="left", border_style="cyan")


def _table(header: tuple[str, ...], lines: Iterable[tuple[object, ...]]) -> Table:
    table = Table(*header, box=None, show_header=any(header), pad_edge=False)
    for line in lines:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in line))
    return table


def _share(value: float | None) -> str:
    return "not applicable" if value is None else f"{value:.1%}"


def _bounds(value: dict[str, Any]) -> str:
    return "" if value["low"] is None else f"{value['low']:.1%} to {value['high']:.1%}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
