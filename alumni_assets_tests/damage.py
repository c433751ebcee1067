"""What may befall a file: ways to damage one that is there."""

import random
from pathlib import Path


def cut_in_half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def overwrite_with_noise(path: Path) -> None:
    path.write_bytes(random.Random(8).randbytes(path.stat().st_size))


def spoil_the_middle(path: Path) -> None:
    """So that the damage shows only where rows are read."""
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[third : 2 * third] = random.Random(8).randbytes(third)
    path.write_bytes(content)
