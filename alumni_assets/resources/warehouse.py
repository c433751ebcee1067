"""The warehouse as a Dagster resource: one DuckDB file, and the turns that its writers take.

DuckDB lets one process have a file open for writing, and keeps readers out meanwhile. So every use is
short and under a lock of the operating system, and nobody reads here: readers open what `publishing.py`
publishes. What is in the file is decided in `warehouse/`; all of it can be rebuilt from the lake.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

import duckdb
from dagster import ConfigurableResource
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection
from pydantic import Field, PositiveFloat

from alumni_assets.resources.file_lock import FileLockTimeoutError, exclusive_file_lock
from alumni_assets.warehouse.tables import DATABASE, TableLayoutError, create_missing_tables

# The oldest format that DuckDB can write, so that clients from 1.0 on can open what is published.
STORAGE_VERSION = "v1.0.0"
_LOOKS_AGAIN_SECONDS = 0.1


class WarehouseError(Exception):
    """The warehouse cannot be used; the message says why and what to do."""


class WarehouseBusyError(WarehouseError):
    """Another process had the warehouse for too long."""


class WarehouseUnreadableError(WarehouseError):
    """The warehouse's file was damaged or of another version, and was deleted; it is rebuilt from the lake."""


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
        when that does not come in time, and WarehouseUnreadableError when the file was no good: the next time it
        begins empty. Do not nest.
        """
        with self.exclusively() as writer, writer.transaction() as connection:
            yield connection

    def begin_anew(self) -> None:
        """Delete the file, in which DuckDB keeps what was deleted; it is rebuilt from the lake. Waits for its turn."""
        with self.exclusively() as writer:
            writer.discard()

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
                yield WarehouseWriter(self.path, self.memory_limit, spill, self.lock_timeout_seconds)
        except FileLockTimeoutError as error:
            raise WarehouseBusyError(
                f"The warehouse's turn did not come in {self.lock_timeout_seconds:g} s: {error}. "
                "Wait until that process is done, or stop it; nothing is lost either way."
            ) from error


@dataclass(frozen=True)
class WarehouseWriter:
    """Whoever has this has the turn to write; the file at `path` is whole and closed between transactions.

    `spill` is the folder for what does not fit into `memory_limit`; `patience_seconds` is how long to wait for a
    program that takes no turns and has the file open.
    """

    path: Path
    memory_limit: str
    spill: Path
    patience_seconds: float

    @contextmanager
    def transaction(self) -> Iterator[DuckDBPyConnection]:
        """One transaction, as in `WarehouseResource.writing`; after it all is in the file, nothing in a log."""
        with self._discarding_what_is_no_good(), self._opened() as connection:
            connection.execute("BEGIN")
            create_missing_tables(connection)
            yield connection
            # DuckDB takes the COMMIT of a transaction that an error has ended, and rolls it back without
            # a word. This raises instead, should the caller have passed over the error.
            connection.execute("SELECT 1")
            connection.execute("COMMIT")
            connection.execute(f"CHECKPOINT {DATABASE}")

    def discard(self) -> None:
        """Delete the file; the next transaction begins with an empty one."""
        for path in (self.path, self.path.with_name(f"{self.path.name}.wal")):
            path.unlink(missing_ok=True)

    def copy_for_readers(self, target: Path) -> None:
        """Copy the file to `target`, without the pipeline's bookkeeping; not during a transaction."""
        shutil.copyfile(self.path, target)
        with self._discarding_what_is_no_good(), replace(self, path=target)._opened() as connection:
            connection.execute("DROP SCHEMA pipeline CASCADE")
            connection.execute(f"CHECKPOINT {DATABASE}")

    @contextmanager
    def _discarding_what_is_no_good(self) -> Iterator[None]:
        """Delete a file that turns out to be damaged: all that is in it is made of what is in the lake."""
        try:
            yield
        except TableLayoutError as error:
            raise self._discarded(error) from error
        except duckdb.OutOfMemoryException as error:
            raise WarehouseError(
                f"DuckDB needs more memory than it may take, {self.memory_limit}. Set ALUMNI_WAREHOUSE_MEMORY to more, "
                "such as twice as much; nothing is lost, and the same is done by the next `alumni run`, or by "
                "materializing it again."
            ) from error
        except duckdb.Error as error:
            if tells_of_damage(error):
                raise self._discarded(error) from error
            if "No space left" in str(error):
                raise WarehouseError(
                    f"There is no room for {self.path}: {error}. Make room; nothing is lost, and the same is done by "
                    "the next `alumni run`, or by materializing it again."
                ) from error
            raise

    def _discarded(self, error: Exception) -> WarehouseUnreadableError:
        self.discard()
        return WarehouseUnreadableError(
            f"{self.path} could not be read: {error}. It was deleted: all that was in it is made again from the lake "
            "when deduplicated_survey and everything below it are materialized, or by `alumni run`."
        )

    @contextmanager
    def _opened(self) -> Iterator[DuckDBPyConnection]:
        """A connection with the file attached; an error rolls back what was not committed. Closes the file."""
        engine = _engine(self.memory_limit, str(self.spill))
        is_as_before = False
        try:
            with engine.get_connection() as connection, closing(connection):
                self._attach(connection)
                connection.execute(f"USE {DATABASE}")
                yield connection
                connection.execute("USE memory")
                connection.execute(f"DETACH {DATABASE}")
            is_as_before = not self.spill.exists()
        finally:
            if not is_as_before:
                _engine.cache_clear()
                engine.close()

    def _attach(self, connection: DuckDBPyConnection) -> None:
        if self.path.exists() and not os.access(self.path, os.R_OK | os.W_OK):
            raise WarehouseError(f"{self.path} cannot be opened: this user may not read and write it")
        deadline = time.monotonic() + self.patience_seconds
        while True:
            try:
                connection.execute(f"ATTACH $1 AS {DATABASE} (STORAGE_VERSION '{STORAGE_VERSION}')", [str(self.path)])
                return
            except duckdb.IOException as error:
                if "Cannot open file" in str(error):
                    raise WarehouseError(f"{self.path} cannot be opened: {error}") from error
                if "Could not set lock" not in str(error):
                    raise
                if time.monotonic() >= deadline:
                    raise WarehouseBusyError(
                        f"{self.path} is open in a program that does not take turns; "
                        f"readers should open published/alumni.duckdb instead. {error}"
                    ) from error
            time.sleep(_LOOKS_AGAIN_SECONDS)


class _Engine:
    """DuckDB at work without a file, until it is closed: starting it takes ten times as long as attaching a file.

    A process keeps the last one it used, unless that met with an error, or spilled: it would take files for its own
    that whoever has the next turn removes.
    """

    def __init__(self, memory_limit: str, spill: str) -> None:
        config = {"memory_limit": memory_limit, "temp_directory": spill}
        # By its name connections find the same one, as long as one of them is open.
        self._resource = DuckDBResource(database=f":memory:{uuid4().hex}", connection_config=config)
        self._kept = ExitStack()
        self._kept.enter_context(closing(self._kept.enter_context(self.get_connection())))

    def get_connection(self) -> AbstractContextManager[DuckDBPyConnection]:
        return self._resource.get_connection()

    def close(self) -> None:
        self._kept.close()


@lru_cache(maxsize=1)
def _engine(memory_limit: str, spill: str) -> _Engine:
    return _Engine(memory_limit, spill)


def tells_of_damage(error: duckdb.Error) -> bool:
    """Whether DuckDB says that a database file is damaged, or of a version that it does not know."""
    text = str(error)
    return (
        isinstance(error, duckdb.SerializationException)
        or "Corrupt database file" in text
        or "not a valid DuckDB database file" in text
        or "database file with version number" in text
        or ("Could not read" in text and ".duckdb" in text)
    )
