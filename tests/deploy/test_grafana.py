"""The dashboard is one that Grafana takes, as far as that can be told without a Grafana.

Grafana Labs' own types read it and write it again: what they do not know, Grafana would not read either.
"""

from __future__ import annotations

import importlib
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.deploy.metric_names import dashboard, dashboard_expressions
from tests.deploy.tools import run

COLUMNS = 24
VARIABLES = {"$__rate_interval": "1m", "$line": ".*", "$camera": ".*"}


def lost(told: Any, read: Any, path: str = "") -> Iterator[str]:
    """Yields where `read` lacks something of `told` or has it otherwise."""
    if isinstance(told, dict) and isinstance(read, dict):
        for key, value in told.items():
            yield from lost(value, read[key], f"{path}/{key}") if key in read else [f"{path}/{key}"]
    elif isinstance(told, list) and isinstance(read, list) and len(told) == len(read):
        for number, pair in enumerate(zip(told, read, strict=True)):
            yield from lost(*pair, f"{path}/{number}")
    elif told != read:
        yield path


def read_again(told: dict[str, Any]) -> Any:
    plugins.register_default_plugins()
    return json.loads(JSONEncoder().encode(Dashboard.from_json(told)))


def test_grafana_s_types_read_all_of_it() -> None:
    assert list(lost(dashboard(), read_again(dashboard()))) == []


@pytest.mark.parametrize("key", ["gridPosition", "fieldConfigs"])
def test_a_slip_in_a_panel_would_be_seen(key: str) -> None:
    told = dashboard()
    told["panels"][0][key] = {}
    assert list(lost(told, read_again(told))) == [f"/panels/0/{key}"]


def test_every_panel_is_of_a_kind_that_grafana_has() -> None:
    for panel in dashboard()["panels"]:
        importlib.import_module(f"grafana_foundation_sdk.models.{panel['type']}")


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= COLUMNS for place in places)
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, f"{one} and {other} overlap"


def test_prometheus_parses_every_query(tmp_path: Path) -> None:
    expressions = [substituted(expression) for expression in dashboard_expressions()]
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(expressions)]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    assert f"{len(rules)} rules found" in run("promtool", "check", "rules", file)


def substituted(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert not re.search(r"\$\w", expression), f"a variable that the dashboard does not have: {expression}"
    return expression
