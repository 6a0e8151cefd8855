"""What can go wrong at a source or with the loader, on real PostgreSQL: told in one line, healed by the next
tick, and then no row is missing and none is there twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pyarrow as pa
import pytest

from inspection.errors import ServiceError
from inspection.ingestion import tick as ticks
from inspection.ingestion.changes import read_changes
from inspection.ingestion.tick import exclusive, ingest
from inspection.settings import Settings
from tests.conftest import free_port, server_home
from tests.inspection.ingestion.plant import (
    SCHEMA,
    add_images,
    add_orders,
    database,
    elsewhere,
    images,
    orders,
    tick,
)
from vqi.environment import variables
from vqi.postgres import answers, create_cluster, ensure_databases, run_as, server_command
from vqi.supervisor import wait_until


def failure(settings: Settings, name: str) -> str:
    """Runs a tick that fails; returns what it says."""
    with pytest.raises(ServiceError) as caught:
        ingest(name, settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_source_that_is_down(plant: Settings) -> None:
    with database(plant, "erp") as cursor:
        add_orders(cursor, "PO-1")
    tick(plant, "erp")
    down = elsewhere(plant, "erp", f"postgresql://vqi@127.0.0.1:{free_port()}/erp")
    assert "cannot read database erp" in failure(down, "erp")
    assert "onnection refused" in failure(down, "erp")
    with database(plant, "erp") as cursor:
        add_orders(cursor, "PO-2")
    assert tick(plant, "erp")["production_orders"] == 1
    assert orders(plant) == {"PO-1": 1, "PO-2": 1}


def test_a_warehouse_that_is_down(plant: Settings) -> None:
    down = elsewhere(plant, "warehouse", f"postgresql://vqi@127.0.0.1:{free_port()}/warehouse")
    assert "cannot load erp into the warehouse" in failure(down, "erp")


def test_a_slow_table_does_not_hold_up_the_others(plant: Settings) -> None:
    tick(plant, "erp")
    impatient = plant.model_copy(update={"source_timeout_seconds": 0.5})
    with closing(psycopg2.connect(plant.dsn("erp"))) as other:
        add_orders(other.cursor(), "PO-1")
        other.commit()
        other.cursor().execute("insert into erp.equipment_registry values ('M-1', 'p', 'l', 'lathe', now())")
        other.commit()
        other.cursor().execute("lock table erp.production_orders in access exclusive mode")
        told = failure(impatient, "erp")
        assert "cannot read erp.production_orders" in told
        assert "timeout" in told
        other.rollback()
    with database(plant, "warehouse") as cursor:
        cursor.execute("select machine_id from raw_erp.equipment_registry")
        assert cursor.fetchall() == [("M-1",)]
    assert tick(plant, "erp")["production_orders"] == 1
    assert orders(plant) == {"PO-1": 1}


@pytest.mark.parametrize("seen_before", [False, True])
def test_a_table_that_is_missing_is_named_and_the_others_are_loaded(
    plant: Settings, seen_before: bool
) -> None:
    if seen_before:
        tick(plant, "erp")
    with database(plant, "erp") as cursor:
        cursor.execute("alter table erp.product_specs rename to specs")
        add_orders(cursor, "PO-1")
    assert "no table erp.product_specs in the source: check the DSN" in failure(plant, "erp")
    assert orders(plant) == {"PO-1": 1}
    with database(plant, "erp") as cursor:
        cursor.execute("alter table erp.specs rename to product_specs")
        cursor.execute("insert into erp.product_specs values ('shaft', 1, '{}', 'steel', now())")
    assert tick(plant, "erp")["product_specs"] == 1


def test_a_column_that_is_added_is_carried_along(plant: Settings) -> None:
    with database(plant, "erp") as cursor:
        add_orders(cursor, "PO-1")
    tick(plant, "erp")
    with database(plant, "erp") as cursor:
        cursor.execute("alter table erp.production_orders add customer text")
        add_orders(cursor, "PO-2")
        cursor.execute(
            "update erp.production_orders set customer = 'ACME' where production_order_id = 'PO-2'"
        )
    tick(plant, "erp")
    with database(plant, "warehouse") as cursor:
        cursor.execute("select production_order_id, customer from raw_erp.production_orders order by 1")
        assert cursor.fetchall() == [("PO-1", None), ("PO-2", "ACME")]


def test_a_column_that_goes_is_empty_from_then_on(plant: Settings) -> None:
    tick(plant, "erp")
    with database(plant, "erp") as cursor:
        cursor.execute("alter table erp.production_orders drop completed_at")
        add_orders(cursor, "PO-1")
    tick(plant, "erp")
    with database(plant, "warehouse") as cursor:
        cursor.execute("select production_order_id, completed_at from raw_erp.production_orders")
        assert cursor.fetchall() == [("PO-1", None)]


def test_a_type_that_changes_goes_on_while_the_values_fit(plant: Settings) -> None:
    with database(plant, "erp") as cursor:
        add_orders(cursor, "PO-1")
    tick(plant, "erp")
    with database(plant, "erp") as cursor:
        cursor.execute("alter table erp.production_orders alter quantity type text")
        add_orders(cursor, "PO-2")
    tick(plant, "erp")
    with database(plant, "erp") as cursor:
        cursor.execute("insert into erp.equipment_registry values ('M-1', 'p', 'l', 'lathe', now())")
        add_orders(cursor, "PO-3")
        cursor.execute(
            "update erp.production_orders set quantity = 'a dozen' where production_order_id = 'PO-3'"
        )
    told = failure(plant, "erp")
    assert "column quantity of erp.production_orders is string now and was int32" in told
    assert "a dozen" in told
    assert "drop table production_orders" in told
    with database(plant, "warehouse") as cursor:  # the other tables went on
        cursor.execute("select count(*) from raw_erp.equipment_registry")
        assert cursor.fetchone() == (1,)
        cursor.execute("drop table raw_erp.production_orders cascade")
    assert tick(plant, "erp")["production_orders"] == 3
    with database(plant, "warehouse") as cursor:
        cursor.execute("select production_order_id, quantity from raw_erp.production_orders order by 1")
        assert cursor.fetchall() == [("PO-1", "1"), ("PO-2", "1"), ("PO-3", "a dozen")]


class OwnServer:
    """A source on a server of its own, which can be started again."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(home=folder, postgres_port=free_port())
        create_cluster(self.settings)
        self.log = (folder / "log").open("wb")
        self.start()
        ensure_databases(self.settings)

    def start(self) -> None:
        self.process = subprocess.Popen(
            server_command(self.settings), cwd="/", stdout=self.log, stderr=self.log, **run_as()
        )
        wait_until(lambda: answers(self.settings), 60, "PostgreSQL does not start")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    with server_home() as folder:
        server = OwnServer(folder)
        yield server
        server.stop()
        server.log.close()


def test_a_source_that_is_restarted_in_the_middle(
    plant: Settings, own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = elsewhere(plant, "quality_vision", own_server.settings.dsn("quality_vision"))
    with database(plant, "quality_vision") as cursor:
        cursor.execute(SCHEMA)
    tick(plant, "quality_vision")
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "many", 300_000)

    def restarted(*arguments: object) -> Iterator[pa.Table]:
        for number, batch in enumerate(read_changes(*arguments)):  # type: ignore[arg-type]
            yield batch
            if number == 0:
                own_server.stop()
                own_server.start()

    monkeypatch.setattr(ticks, "read_changes", restarted)
    assert "cannot read inspection." in failure(plant, "quality_vision")
    monkeypatch.undo()
    assert tick(plant, "quality_vision")["image_metadata"] == 300_000
    assert images(plant) == {"many": 300_000}
    twice = "select count(*) - count(distinct image_id) from raw_quality_vision.image_metadata"
    with database(plant, "warehouse") as cursor:
        cursor.execute(twice)
        assert cursor.fetchone() == (0,)


LOADER = """
from inspection.ingestion.tick import ingest
from inspection.settings import get_settings
ingest("erp", get_settings())
"""
# Where a loader is killed: a function, and whether it has done its work by then.
KILLS = {
    "while it reads": ("inspection.ingestion.changes:stamped", True),
    "before the rows are normalised": ("dlt:Pipeline.normalize", False),
    "before the rows are loaded": ("dlt:Pipeline.load", False),
    "after the first table is loaded": ("inspection.ingestion.destination:StreamingCopyJob.run", True),
    "after all is loaded": ("inspection.ingestion.tick:_index", False),
    "before it notes how far it came": ("inspection.ingestion.tick:write_progress", False),
    "after it notes how far it came": ("inspection.ingestion.tick:write_progress", True),
}
KILLER = """
import importlib, os, signal
module, _, path = {place!r}.partition(":")
owner = importlib.import_module(module)
*above, name = path.split(".")
for part in above:
    owner = getattr(owner, part)
original = getattr(owner, name)
def killed(*arguments, **named):
    if {after}:
        original(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, killed)
"""


def loader(settings: Settings, before: str = "") -> subprocess.Popen[bytes]:
    environment = {**os.environ, **variables(settings)}
    settings.dsn("warehouse")
    return subprocess.Popen([sys.executable, "-c", before + LOADER], env=environment)


@pytest.mark.slow
@pytest.mark.parametrize("moment", KILLS)
def test_a_loader_that_is_killed(plant: Settings, moment: str) -> None:
    place, after = KILLS[moment]
    kill = KILLER.format(place=place, after=after)
    with database(plant, "erp") as cursor:
        add_orders(cursor, "PO-1", "PO-2")
    assert loader(plant, kill).wait(timeout=120) == -signal.SIGKILL
    tick(plant, "erp")
    assert orders(plant) == {"PO-1": 1, "PO-2": 1}
    with database(plant, "erp") as cursor:
        add_orders(cursor, "PO-3")
        cursor.execute(
            "update erp.production_orders set quantity = 7, updated_at = clock_timestamp() "
            "where production_order_id = 'PO-1'"
        )
    assert loader(plant, kill).wait(timeout=120) == -signal.SIGKILL
    tick(plant, "erp")
    assert orders(plant) == {"PO-1": 1, "PO-2": 1, "PO-3": 1}
    with database(plant, "warehouse") as cursor:
        cursor.execute("select quantity from raw_erp.production_orders where production_order_id = 'PO-1'")
        assert cursor.fetchall() == [(7,)]


def waiting_for_a_lock(settings: Settings) -> Callable[[], bool]:
    def waits() -> bool:
        with database(settings, "warehouse") as cursor:
            cursor.execute(
                """
                select count(*) from pg_locks inner join pg_database on pg_database.oid = pg_locks.database
                where locktype = 'advisory' and not granted and datname = current_database()
                """
            )
            return bool(cursor.fetchone()[0] == 1)

    return waits


def test_two_ticks_at_a_time(plant: Settings) -> None:
    with database(plant, "erp") as cursor:
        add_orders(cursor, "PO-1", "PO-2")
    with exclusive(plant.dsn("warehouse"), "erp"):
        second = loader(plant)
        wait_until(waiting_for_a_lock(plant), 60, "the second tick does not wait")
        assert second.poll() is None
    assert second.wait(timeout=120) == 0
    both = [loader(plant), loader(plant)]
    assert [each.wait(timeout=120) for each in both] == [0, 0]
    assert orders(plant) == {"PO-1": 1, "PO-2": 1}
