"""The key of the ledger of erasures as a Dagster resource.

A plain object, not a configurable resource: Dagster shows the configuration of those in the UI.
"""


class ErasureKeyResource:
    """Holds the key, which is empty where none is set."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "ErasureKeyResource()"

    def key(self) -> str:
        """The secret itself."""
        return self._key
