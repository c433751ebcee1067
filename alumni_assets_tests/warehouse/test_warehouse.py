"""The warehouse's file: whose turn it is, what is kept, and what becomes of a damaged one."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from alumni_assets.resources.warehouse import (
    WarehouseBusyError,
    WarehouseError,
    WarehouseResource,
    WarehouseUnreadableError,
)
from alumni_assets.warehouse.tables import TABLES, describe_tables, unpublished_tables

HOLDER = """
import sys
from alumni_assets.resources.warehouse import WarehouseResource
with WarehouseResource(home=sys.argv[1]).writing() as connection:
    connection.execute("INSERT INTO job_roles (job_role, alumni) VALUES ('Held', 1)")
    print("mine", flush=True)
    sys.stdin.readline()
"""
PROGRAM = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> WarehouseResource:
    return WarehouseResource(home=str(tmp_path / "home"))


@contextmanager
def running(program: str, argument: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program that says a word when it is ready, and ends when a line is written to it."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, argument], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().strip()
        try:
            yield process
        finally:
            process.kill()


def insert_role(warehouse: WarehouseResource, role: str) -> None:
    with warehouse.writing() as connection:
        connection.execute("INSERT INTO job_roles (job_role, alumni) VALUES ($1, 1)", [role])


def roles(warehouse: WarehouseResource) -> list[str]:
    with warehouse.writing() as connection:
        return [role for (role,) in connection.execute("SELECT job_role FROM job_roles ORDER BY ALL").fetchall()]


def test_a_missing_file_begins_empty_with_every_table(warehouse: WarehouseResource) -> None:
    with warehouse.writing() as connection:
        for name, table in TABLES.items():
            assert connection.execute(f"SELECT {table.column_list} FROM {name}").fetchall() == []
        assert unpublished_tables(connection) == set(TABLES)


def test_what_is_written_is_there_the_next_time(warehouse: WarehouseResource) -> None:
    insert_role(warehouse, "Teacher")
    assert roles(warehouse) == ["Teacher"]


def test_an_error_takes_everything_back_and_leaves_the_warehouse_free(warehouse: WarehouseResource) -> None:
    insert_role(warehouse, "Teacher")

    def fail_half_way() -> None:
        with warehouse.writing() as connection:
            connection.execute("DELETE FROM job_roles")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert roles(warehouse) == ["Teacher"]


def test_an_error_in_sql_that_the_caller_passes_over_is_not_lost(warehouse: WarehouseResource) -> None:
    """DuckDB rolls back at the error and takes the COMMIT that follows without a word."""

    def pass_over_an_error() -> None:
        with warehouse.writing() as connection:
            connection.execute("INSERT INTO job_roles (job_role, alumni) VALUES ('Teacher', 1)")
            with pytest.raises(duckdb.InvalidInputException):
                connection.execute("SELECT error('wrong')")

    with pytest.raises(duckdb.TransactionException):
        pass_over_an_error()
    assert roles(warehouse) == []


def test_the_file_has_the_storage_version_of_old_clients_and_no_log(warehouse: WarehouseResource) -> None:
    insert_role(warehouse, "Teacher")
    assert sorted(path.name for path in warehouse.path.parent.iterdir()) == ["warehouse.duckdb", "warehouse.lock"]
    with duckdb.connect(warehouse.path, read_only=True) as connection:
        tags = connection.execute("SELECT tags FROM duckdb_databases() WHERE path IS NOT NULL").fetchall()
    assert tags == [({"storage_version": "v1.0.0+"},)]
    # The header says 64, the number of that format, after the checksum and the magic bytes.
    assert warehouse.path.read_bytes()[8:20] == b"DUCK" + (64).to_bytes(8, "little")


def test_a_second_process_waits_for_its_turn(warehouse: WarehouseResource) -> None:
    with running(HOLDER, warehouse.home) as holder:
        impatient = WarehouseResource(home=warehouse.home, lock_timeout_seconds=0.2)
        with pytest.raises(WarehouseBusyError, match=rf"locked by process {holder.pid}\b"):
            insert_role(impatient, "Impatient")
        holder.communicate("go on\n")
        insert_role(warehouse, "Patient")
    assert roles(warehouse) == ["Held", "Patient"]


def test_a_killed_process_leaves_neither_its_lock_nor_half_of_its_work(warehouse: WarehouseResource) -> None:
    insert_role(warehouse, "Before")
    with running(HOLDER, warehouse.home) as holder:
        holder.kill()
        holder.wait()
        insert_role(warehouse, "After")
    assert roles(warehouse) == ["After", "Before"]


def test_the_turn_is_not_given_twice_in_one_process(warehouse: WarehouseResource) -> None:
    impatient = WarehouseResource(home=warehouse.home, lock_timeout_seconds=0.1)
    started = time.monotonic()
    with (
        warehouse.writing(),
        pytest.raises(WarehouseBusyError, match=rf"process {os.getpid()} \(this one\)"),
        impatient.writing(),
    ):
        pass
    assert time.monotonic() - started < 5


def test_a_program_that_takes_no_turns_and_has_the_file_open_is_waited_for_then_named(
    warehouse: WarehouseResource,
) -> None:
    insert_role(warehouse, "Teacher")
    impatient = WarehouseResource(home=warehouse.home, lock_timeout_seconds=0.2)
    with running(PROGRAM, str(warehouse.path)) as program:
        with pytest.raises(WarehouseBusyError, match=rf"published/alumni\.duckdb.*PID {program.pid}"):
            roles(impatient)
        soon = threading.Timer(0.5, program.kill)
        soon.start()
        assert roles(warehouse) == ["Teacher"]
        soon.join()


@pytest.mark.parametrize("damage", ["cut", "overwritten", "empty", "no database"])
def test_a_damaged_file_is_deleted_and_that_is_said(warehouse: WarehouseResource, damage: str) -> None:
    insert_role(warehouse, "Teacher")
    whole = warehouse.path.read_bytes()
    damaged = {
        "cut": whole[:10_000],
        "overwritten": whole[:12_288] + b"?" * (len(whole) - 12_288),
        "empty": b"",
        "no database": b"Employee_ID,Employee_Name\n" * 1000,
    }
    warehouse.path.write_bytes(damaged[damage])
    with pytest.raises(WarehouseUnreadableError, match=r"was deleted.*made again from the lake.*alumni run"):
        roles(warehouse)
    assert not warehouse.path.exists()
    assert roles(warehouse) == []


def test_damage_that_shows_only_when_rows_are_read_is_told_as_well(warehouse: WarehouseResource) -> None:
    with warehouse.writing() as connection:
        connection.execute(
            "INSERT INTO job_roles (job_role, alumni) SELECT 'role ' || hash(i), i FROM range(200000) AS r(i)"
        )
    content = bytearray(warehouse.path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300_000] = b"?" * 300_000
    warehouse.path.write_bytes(content)
    with pytest.raises(WarehouseUnreadableError, match="was deleted"), warehouse.writing() as connection:
        connection.execute("SELECT max(job_role || alumni) FROM job_roles").fetchall()
    assert roles(warehouse) == []


def test_a_file_of_another_version_of_the_project_is_deleted(warehouse: WarehouseResource) -> None:
    with warehouse.writing() as connection:
        connection.execute("ALTER TABLE uploads DROP COLUMN reason")
    with pytest.raises(WarehouseUnreadableError, match=r"the table uploads has other columns.*was deleted"):
        roles(warehouse)
    assert roles(warehouse) == []


def test_what_a_killed_process_spilled_is_removed(warehouse: WarehouseResource) -> None:
    spilled = Path(warehouse.home, "warehouse.tmp", "duckdb_temp_storage.tmp")
    spilled.parent.mkdir(parents=True)
    spilled.write_bytes(b"rows")
    insert_role(warehouse, "Teacher")
    assert not spilled.exists()


def test_transactions_that_spill_can_follow_each_other(tmp_path: Path) -> None:
    narrow = WarehouseResource(home=str(tmp_path), memory_limit="60MB")
    for _ in range(2):
        with narrow.writing() as connection:
            connection.execute(
                "CREATE TEMP TABLE many AS SELECT range, hash(range)::VARCHAR AS text FROM range(3000000)"
            )
            spilled = list(Path(tmp_path, "warehouse.tmp").iterdir())
        assert spilled
        assert not Path(tmp_path, "warehouse.tmp").exists()


def test_who_may_take_too_little_memory_is_told_which_setting_gives_more(tmp_path: Path) -> None:
    little = WarehouseResource(home=str(tmp_path), memory_limit="20MB")
    said = r"more memory than it may take, 20MB\. Set ALUMNI_WAREHOUSE_MEMORY"
    with pytest.raises(WarehouseError, match=said), little.writing() as connection:
        connection.execute("CREATE TABLE lists AS SELECT list(range) FROM range(10_000_000)")
    with little.writing() as connection:
        assert connection.execute("SELECT count(*) FROM alumni").fetchall() == [(0,)]


def test_after_an_error_the_file_is_closed_and_the_next_transaction_goes_on(warehouse: WarehouseResource) -> None:
    insert_role(warehouse, "Teacher")
    with pytest.raises(duckdb.Error), warehouse.writing() as connection:
        connection.execute("SELECT error('broken')")
    with duckdb.connect(warehouse.path) as other_program:
        assert other_program.execute("SELECT job_role FROM job_roles").fetchall() == [("Teacher",)]
    insert_role(warehouse, "Nurse")
    assert roles(warehouse) == ["Nurse", "Teacher"]


def test_tables_and_columns_are_described_once(warehouse: WarehouseResource) -> None:
    with warehouse.writing() as connection:
        assert describe_tables(connection)
    with warehouse.writing() as connection:
        assert not describe_tables(connection)
        tables = connection.execute("SELECT table_name, comment FROM duckdb_tables() WHERE schema_name = 'main'")
        assert dict(tables.fetchall()) == {table.name: table.description for table in TABLES.values()}
        columns = connection.execute(
            "SELECT table_name, column_name, comment FROM duckdb_columns() "
            "WHERE database_name = 'warehouse' AND schema_name = 'main'"
        )
        assert set(columns.fetchall()) == {
            (table.name, column.name, column.description) for table in TABLES.values() for column in table.columns
        }
