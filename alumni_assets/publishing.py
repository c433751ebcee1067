"""Hands the warehouse's tables to readers, as files under `published/` in the lake.

Nobody but the pipeline opens the warehouse, so this is where Power BI, notebooks and the dashboard read.
Each file is replaced as a whole; `alumni.duckdb` holds one state of all the tables, while the Parquet files
of one publication appear one after the other. What the tables hold is decided in `warehouse/`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from duckdb import DuckDBPyConnection

from alumni_assets.power_bi import data_source_file
from alumni_assets.resources.lake_interface import Lake, LakeKeyError
from alumni_assets.resources.warehouse import WarehouseResource, WarehouseWriter, tells_of_damage
from alumni_assets.warehouse.dictionary import data_dictionary
from alumni_assets.warehouse.tables import (
    TABLES,
    describe_tables,
    mark_all_published,
    mark_changed,
    only_count,
    unpublished_tables,
)

FOLDER = "published/"
DATABASE_KEY = f"{FOLDER}alumni.duckdb"
DICTIONARY_KEY = f"{FOLDER}data_dictionary.md"
DATA_SOURCE_KEY = f"{FOLDER}alumni.pbids"

# The table whose Parquet file is written last: when it bears a number, that publication is complete.
SEAL = "publication"

_NO_PARQUET = (pa.ArrowException, OSError, ValueError)
"""What Arrow raises for a damaged file: an OSError where its footer is, a ValueError where there are no such rows."""


@dataclass(frozen=True)
class Publication:
    """What is published now: the publication's number, and the tables that this call wrote anew.

    Without any, everything was published already.
    """

    generation: int
    tables: tuple[str, ...]


def table_key(table: str) -> str:
    """Where a table's Parquet file is in the lake."""
    return f"{FOLDER}{table}.parquet"


def has_published_rows(lake: Lake, table: str) -> bool:
    """Whether readers see rows of a table now, or may have before its file was damaged. Raises what the lake raises."""
    try:
        with lake.local_copy(table_key(table)) as path:
            return pq.read_metadata(path).num_rows > 0
    except LakeKeyError:
        return False
    except _NO_PARQUET:
        return True


def publish(warehouse: WarehouseResource, lake: Lake, published_at: datetime) -> Publication:
    """Publish what changed since the last publication, or is missing from it or empty, under a new number.

    `published_at` is the time now, with its zone. When nothing changed and nothing is missing or seen to be damaged,
    nothing is written. What changed is forgotten only after the last file is in place, so that a publication that was
    cut short is made good by the next one, and so is one from another warehouse, such as a second instance on the
    same lake would have: then everything is published. Raises what `WarehouseResource.writing` and the lake raise.
    """
    utc = published_at.astimezone(UTC).replace(tzinfo=None)
    with warehouse.exclusively() as writer, lake.alone("publishing", warehouse.lock_timeout_seconds):
        with writer.transaction() as connection:
            tables = _tables_to_publish(connection, lake)
            if not tables:
                return Publication(_generation_here(connection), ())
            generation = _begin_generation(connection, lake, utc, tables)
        with writer.transaction() as connection:
            for table in sorted(tables - {SEAL}):
                _publish_table(connection, lake, table, generation)
        _publish_database(writer, lake)
        lake.put_bytes(DICTIONARY_KEY, data_dictionary(generation, utc).encode())
        lake.put_bytes(DATA_SOURCE_KEY, data_source_file(lake.url(FOLDER)).encode())
        with writer.transaction() as connection:
            _publish_table(connection, lake, SEAL, generation)
            mark_all_published(connection)
    return Publication(generation, tuple(name for name in TABLES if name in tables and name != SEAL))


def delete_other_tables(lake: Lake) -> None:
    """Delete the Parquet files of tables that there are no more, which an earlier version may have published."""
    known = {table_key(name) for name in TABLES}
    for entry in list(lake.list(FOLDER)):
        if entry.key.endswith(".parquet") and entry.key not in known:
            lake.delete(entry.key)


def _tables_to_publish(connection: DuckDBPyConnection, lake: Lake) -> set[str]:
    """The tables whose files have to be written; empty when everything is published as it is here."""
    if describe_tables(connection):
        mark_changed(connection, SEAL)
    published, here = _generation_published(lake), _generation_here(connection)
    if published >= here and _was_published_elsewhere(connection, lake):
        return set(TABLES)
    present = {entry.key for entry in lake.list(FOLDER) if entry.size}
    is_complete = present >= {DATABASE_KEY, DICTIONARY_KEY, DATA_SOURCE_KEY} and published >= here
    if not is_complete or _has_damaged_database(lake):
        mark_changed(connection, SEAL)
    missing = {name for name in TABLES if table_key(name) not in present}
    return unpublished_tables(connection) | missing


def _has_damaged_database(lake: Lake) -> bool:
    """Whether the published database cannot be opened; a bucket is not asked, for it would have to be downloaded."""
    if not lake.lends_files:
        return False
    with lake.local_copy(DATABASE_KEY) as path:
        try:
            duckdb.connect(f"duckdb:{path}", read_only=True).close()
        except duckdb.Error as error:
            return tells_of_damage(error)
    return False


def _begin_generation(connection: DuckDBPyConnection, lake: Lake, utc: datetime, tables: set[str]) -> int:
    """Enter the next publication into the warehouse; its tables stay unpublished there until it is complete."""
    generation = max(_generation_here(connection), _generation_published(lake)) + 1
    connection.execute(f"DELETE FROM {SEAL}")
    connection.execute(f"INSERT INTO {SEAL} VALUES ($1, $2)", [generation, utc])
    for table in tables | {SEAL}:
        mark_changed(connection, table)
    return generation


def _generation_here(connection: DuckDBPyConnection) -> int:
    return only_count(connection.execute(f"SELECT coalesce(max(generation), 0) FROM {SEAL}"))


def _was_published_elsewhere(connection: DuckDBPyConnection, lake: Lake) -> bool:
    """Whether the last publication, unless one here was cut short since, is none of this warehouse's."""
    try:
        (seal,) = pq.read_table(BytesIO(lake.read_bytes(table_key(SEAL)))).to_pylist()
    except (LakeKeyError, *_NO_PARQUET):
        return True
    return [tuple(seal.values())] != connection.execute(f"SELECT * FROM {SEAL}").fetchall()


def _generation_published(lake: Lake) -> int:
    """The number of the last publication that was finished; 0 without any.

    Readers compare numbers, so they must go on rising when the warehouse is begun anew.
    """
    try:
        metadata = pq.read_metadata(BytesIO(lake.read_bytes(table_key(SEAL)))).metadata or {}
        return int(metadata.get(b"generation", b"0"))
    except (LakeKeyError, *_NO_PARQUET):
        return 0


def _publish_table(connection: DuckDBPyConnection, lake: Lake, table: str, generation: int) -> None:
    with lake.writing(table_key(table)) as path:
        connection.execute(
            f"""
            COPY {table} TO $path (
                FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false, KV_METADATA {{generation: $generation}}
            )
            """,
            {"path": str(path), "generation": str(generation)},
        )


def _publish_database(writer: WarehouseWriter, lake: Lake) -> None:
    with lake.writing(DATABASE_KEY) as path:
        writer.copy_for_readers(path)
        # Left by someone who opened an earlier copy for writing; DuckDB would apply it to this one.
        lake.delete(f"{DATABASE_KEY}.wal")
