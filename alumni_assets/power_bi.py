"""The `.pbids` file: what Power BI Desktop is told about where the published tables are.

Made here, as text, from the location of `published/`; `publishing.py` writes it. What an analyst does with it,
and what to change in it, is in docs/power-bi.md. The format is Microsoft's: one connection in one file, and
never a password in it.
"""

import json
import re

# The ODBC data source that an analyst sets up on their own computer, as docs/power-bi.md says.
DSN = "alumni"

# A drive of Windows as Linux sees it inside Windows (WSL).
_WINDOWS_DRIVE = re.compile(r"/mnt/([a-z])(?:/(.*))?", re.DOTALL)


def data_source_file(location: str) -> str:
    """The content of a `.pbids` file for the published tables at a lake's `url`, in ASCII.

    For a folder it is that folder. Power BI cannot read a bucket, so for `s3://…` it is the ODBC data source
    `DSN`.
    """
    details = _odbc_source() if location.startswith("s3://") else _folder(location)
    return json.dumps({"version": "0.1", "connections": [{"details": details, "mode": "Import"}]}, indent=2) + "\n"


def _folder(location: str) -> dict[str, object]:
    return {"protocol": "folder", "address": {"path": _path_in_windows(location)}}


def _odbc_source() -> dict[str, object]:
    # Power BI's own connector for Athena cannot be named in such a file, but takes the same data source.
    return {"protocol": "odbc", "address": {"options": {"dsn": DSN}}}


def _path_in_windows(location: str) -> str:
    """The folder as Power BI has to name it, where that can be known from the path; else the path itself."""
    drive = _WINDOWS_DRIVE.fullmatch(location)
    if drive is None:
        return location
    letter, rest = drive.groups(default="")
    return f"{letter.upper()}:\\" + rest.replace("/", "\\")
