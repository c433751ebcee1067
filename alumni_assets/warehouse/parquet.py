"""How DuckDB reads one Parquet file, whatever its name is made of."""

from pathlib import Path

# Folders named like `department=HR` on the way to a file say nothing about its rows.
FROM_PATH = "read_parquet($path, hive_partitioning = false)"


def one_file(path: Path) -> str:
    """The path as a pattern that fits nothing else: DuckDB would take `[1]` in it for a set of characters."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in str(path))
