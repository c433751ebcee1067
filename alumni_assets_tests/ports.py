"""Free ports of this machine, for servers that end with their test."""

import itertools
import os
import random
import socket
from contextlib import suppress

# Each of pytest's processes has its own, and none is of those that the system gives to whoever asks for any: between
# the look and the start of the server, which takes seconds, nobody else takes it.
_FIRST, _OF_EACH = 20_000, 1_000
_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = itertools.count(random.randrange(_OF_EACH))


def free_port() -> int:
    """A port that nobody uses now. Raises `OSError` where there is none."""
    for _ in range(_OF_EACH):
        port = _FIRST + _PROCESS % 10 * _OF_EACH + next(_PORTS) % _OF_EACH
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("every port for tests is in use")
