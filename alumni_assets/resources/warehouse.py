"""The warehouse as a Dagster resource: one DuckDB file, and the turns that its writers take.

DuckDB lets one process have a file open for writing, and keeps readers out meanwhile. So every use is
short and under a lock of the operating system, and nobody reads here: readers open what `publishing.py`
publishes. What is in the file is decided in `warehouse/`; all of it can be rebuilt from the lake.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
from dagster import ConfigurableResource
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection
from pydantic import Field, PositiveFloat

from alumni_assets.resources.file_lock import FileLockTimeoutError, exclusive_file_lock
from alumni_assets.warehouse.tables import DATABASE, TableLayoutError, create_missing_tables

# The oldest format that DuckDB can write, so that clients from 1.0 on can open what is published.
STORAGE_VERSION = "v1.0.0"


class WarehouseError(Exception):
    """The warehouse cannot be used; the message says why and what to do."""


class WarehouseBusyError(WarehouseError):
    """Another process had the warehouse for too long."""


class WarehouseUnreadableError(WarehouseError):
    """The warehouse's file is damaged or of another version; it may be deleted, and is then rebuilt."""


class WarehouseResource(ConfigurableResource):
    """The warehouse's file `warehouse.duckdb`, which begins empty, and its lock, in the folder `home`.

    `home` must be on a local disk. The connections are DuckDBResource's, but the file is attached here, so
    that its format can be chosen, and always closed: DuckDBResource leaves it open when its body raises.
    """

    home: str = Field(description="The folder of the warehouse, on a local disk.")
    memory_limit: str = Field(default="600MB", description="How much memory DuckDB may take before it uses the disk.")
    lock_timeout_seconds: PositiveFloat = Field(
        default=600.0, description="How long to wait for another process that has the warehouse."
    )

    @property
    def path(self) -> Path:
        """The DuckDB file; there may be none yet."""
        return Path(self.home) / "warehouse.duckdb"

    @contextmanager
    def writing(self) -> Iterator[DuckDBPyConnection]:
        """One transaction: all that is done on the connection is kept, or on an error nothing.

        The connection has every table of `warehouse.tables`. Waits for its turn; raises WarehouseBusyError
        when that does not come in time, and WarehouseUnreadableError when the file is no good. Do not nest.
        """
        with self.exclusively() as writer, writer.transaction() as connection:
            yield connection

    def begin_anew(self) -> None:
        """Delete the file, in which DuckDB keeps what was deleted; it is rebuilt from the lake. Waits for its turn."""
        with self.exclusively() as writer:
            for path in (writer.path, writer.path.with_name(f"{writer.path.name}.wal")):
                path.unlink(missing_ok=True)

    @contextmanager
    def exclusively(self) -> Iterator["WarehouseWriter"]:
        """The turn to write, for several transactions and for copying the file between them.

        Waits and raises as `writing` does.
        """
        home = Path(self.home)
        home.mkdir(parents=True, exist_ok=True)
        spill = home / "warehouse.tmp"
        try:
            with exclusive_file_lock(home / "warehouse.lock", self.lock_timeout_seconds):
                # What a killed process spilled is worth nothing.
                shutil.rmtree(spill, ignore_errors=True)
                config = {"memory_limit": self.memory_limit, "temp_directory": str(spill)}
                yield WarehouseWriter(self.path, config)
        except FileLockTimeoutError as error:
            raise WarehouseBusyError(
                f"The warehouse's turn did not come in {self.lock_timeout_seconds:g} s: {error}. "
                "Wait until that process is done, or stop it; nothing is lost either way."
            ) from error


@dataclass(frozen=True)
class WarehouseWriter:
    """Whoever has this has the turn to write; the file at `path` is whole and closed between transactions."""

    path: Path
    connection_config: dict[str, str]

    @contextmanager
    def transaction(self) -> Iterator[DuckDBPyConnection]:
        """One transaction, as in `WarehouseResource.writing`; after it all is in the file, nothing in a log."""
        with self._opened() as connection:
            try:
                connection.execute("BEGIN")
                create_missing_tables(connection)
                yield connection
                # DuckDB takes the COMMIT of a transaction that an error has ended, and rolls it back without
                # a word. This raises instead, should the caller have passed over the error.
                connection.execute("SELECT 1")
                connection.execute("COMMIT")
                connection.execute(f"CHECKPOINT {DATABASE}")
            except TableLayoutError as error:
                raise _unreadable(self.path, error) from error
            except duckdb.Error as error:
                if _tells_of_corruption(error, self.path):
                    raise _unreadable(self.path, error) from error
                raise

    def copy_for_readers(self, target: Path) -> None:
        """Copy the file to `target`, without the pipeline's bookkeeping; not during a transaction."""
        shutil.copyfile(self.path, target)
        with replace(self, path=target)._opened() as connection:
            connection.execute("DROP SCHEMA pipeline CASCADE")
            connection.execute(f"CHECKPOINT {DATABASE}")

    @contextmanager
    def _opened(self) -> Iterator[DuckDBPyConnection]:
        """A connection with the file attached; closing it rolls back what was not committed."""
        resource = DuckDBResource(database=":memory:", connection_config=self.connection_config)
        with resource.get_connection() as connection, closing(connection):
            self._attach(connection)
            connection.execute(f"USE {DATABASE}")
            yield connection

    def _attach(self, connection: DuckDBPyConnection) -> None:
        if self.path.exists() and not os.access(self.path, os.R_OK | os.W_OK):
            raise WarehouseError(f"{self.path} cannot be opened: this user may not read and write it")
        try:
            connection.execute(f"ATTACH $1 AS {DATABASE} (STORAGE_VERSION '{STORAGE_VERSION}')", [str(self.path)])
        except duckdb.Error as error:
            raise _attach_error(self.path, error) from error


def _attach_error(path: Path, error: duckdb.Error) -> WarehouseError:
    text = str(error)
    if "Could not set lock" in text:
        return WarehouseBusyError(
            f"{path} is open in a program that does not take turns; "
            f"readers should open published/alumni.duckdb instead. {text}"
        )
    if "No space left" in text or "Cannot open file" in text:
        return WarehouseError(f"{path} cannot be opened: {text}")
    return _unreadable(path, error)


def _tells_of_corruption(error: duckdb.Error, path: Path) -> bool:
    """Whether an error while working means that the warehouse's own file is damaged."""
    text = str(error)
    return "Corrupt database file" in text or ("Could not read" in text and str(path) in text)


def _unreadable(path: Path, error: Exception) -> WarehouseUnreadableError:
    return WarehouseUnreadableError(
        f"{path} cannot be read: {error}. It may be deleted: the warehouse then begins empty, "
        "and is rebuilt from the lake with the next transformation."
    )
