"""Where things lie in the lake: the one place that puts object keys together."""

import hashlib
import re
from typing import Literal
from urllib.parse import quote, unquote

from alumni_assets.survey.naming import object_name, safe_key

RAW = "raw/"
PINNED = "pinned/"
INVALID = "invalid/"
REGISTER = "register/"
TRANSFORMED = "transformed/"
ARCHIVE = "archive/"
NOTICES = f"{REGISTER}notices/"
REPORTS = "reports/"
SPARK = "spark/"
QUERY_RESULTS = "athena/"
SPARK_STEPS = f"{SPARK}steps/"
DERIVED = f"{SPARK}tables/"
GLUE_SCRIPT = "glue/job.py"
GLUE_PACKAGE = "glue/alumni_assets.gluewheels.zip"  # Glue goes by the end of the name
_LOG_ENTRY = re.compile(r"([0-9]{6,18})\.json")
_PENDING_EXPORT = re.compile(r"([0-9]{6,18})-[0-9a-f]{16}\.csv")
_ARCHIVED = re.compile(rf"({ARCHIVE}[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}/[^/]+/).+", re.DOTALL)
_OF_A_WEEK = re.compile(rf"{REPORTS}(?P<week>[0-9]{{4}}-W[0-9]{{2}})/.+", re.DOTALL)
_ABOUT_UPLOADS = ("decisions", "waivers")
TRANSFERRING_PREFIXES = (".", "~$")
TRANSFERRING_SUFFIXES = (".part", ".partial", ".crdownload", ".download", ".tmp", ".filepart")


def pinned_key(upload: str) -> str:
    """The immutable copy of an upload's bytes."""
    return f"{PINNED}{object_name(upload)}"


def valid_key(upload: str) -> str:
    """The valid rows of an upload, typed."""
    return f"valid/{object_name(upload)}.parquet"


def invalid_key(upload: str) -> str:
    """The invalid rows of an upload with their problems."""
    return f"{INVALID}{object_name(upload)}.parquet"


def correction_key(upload: str, suffix: Literal["xlsx", "csv"]) -> str:
    """The invalid rows of an upload as a file that a person corrects."""
    return f"{INVALID}{object_name(upload)}.{suffix}"


def correction_keys(upload: str) -> tuple[str, str]:
    """All files in which a person corrects the invalid rows of an upload."""
    return correction_key(upload, "xlsx"), correction_key(upload, "csv")


def transformed_key(upload: str) -> str:
    """The transformed rows of an upload."""
    return f"{TRANSFORMED}{object_name(upload)}.parquet"


def archive_folder(upload: str, day: str) -> str:
    """The folder of an upload's archived copies; `day` is YYYY-MM-DD."""
    return f"{ARCHIVE}{day}/{object_name(upload)}/"


def archive_folder_of(key: str) -> str:
    """The folder of archived copies in which a key is; empty where it is in none."""
    found = _ARCHIVED.fullmatch(key)
    return found[1] if found else ""


def spark_stem(step: str) -> str:
    """How the keys begin of what Spark makes for a step, until the step takes it over."""
    return f"{SPARK_STEPS}{step}-"


def derived_key(version: str) -> str:
    """Which files hold the tables that Spark made from one set of rows; the files' own keys begin with it."""
    return f"{DERIVED}{version}"


def catalog_folder(table: str) -> str:
    """The folder of a small table that Athena's views read."""
    return f"catalog/{table}/"


def catalog_key(table: str) -> str:
    """The rows of such a table."""
    return f"{catalog_folder(table)}rows.parquet"


def published_key(name: str) -> str:
    """A published file."""
    return f"published/{name}"


def fact_key(kind: str, upload: str) -> str:
    """The one fact of a kind about an upload, such as that it was seen."""
    return f"{REGISTER}{kind}/{object_name(upload)}.json"


def log_key(kind: str, subject: str, number: int) -> str:
    """Entry `number` of the log that a kind of fact keeps about a subject."""
    return f"{log_folder(kind, subject)}{number:06d}.json"


def log_folder(kind: str, subject: str) -> str:
    """The folder of such a log."""
    name = object_name(subject) if kind in _ABOUT_UPLOADS else _plain(subject)
    return f"{REGISTER}{kind}/{name}/"


def log_number(key: str) -> int | None:
    """The number in the key of a log's entry; None for a file that a program of somebody's has put beside them."""
    return _number(_LOG_ENTRY, key)


def erasure_key(number: int) -> str:
    """Entry `number` of the log of erasures."""
    return f"{REGISTER}erasures/{number:06d}.json"


def rewritten_key(sha256: str) -> str:
    """The fact that a content was replaced because of an erasure."""
    return f"{REGISTER}rewritten/{sha256}.json"


def notice_key(book: str, number: int, *parts: str) -> str:
    """A fact about notice `number` in the folder of a book, such as that a channel accepted it."""
    return f"{book}{number:06d}/{'/'.join(parts)}.json"


def report_key(week: str, edition: str, name: str) -> str:
    """A file of the weekly report, in one of the editions that it had in its week."""
    return f"{REPORTS}{week}/{edition}/{name}"


def prepared_report_key(week: str) -> str:
    """Which edition of a week's report was prepared last."""
    return f"{REPORTS}{week}/prepared.txt"


def week_of_report(key: str) -> str:
    """The week in whose folder of reports a key is; empty where it is in none."""
    found = _OF_A_WEEK.fullmatch(key)
    return found["week"] if found else ""


def report_book(week: str) -> str:
    """The folder of the book about sending a week's report."""
    return f"{REGISTER}reports/{week}/"


def listing_identity(key: str, etag: str, size: int) -> str:
    """One name for an object as a listing shows it, to count the attempts at taking it in."""
    text = f"{key}\0{etag}\0{size}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:32]


def upload_identity(upload: str) -> str:
    """One name for an upload that is pinned already, to count the attempts at taking it in again."""
    return hashlib.sha256(f"upload\0{upload}".encode()).hexdigest()[:32]


def is_transferring(key: str) -> bool:
    """Whether a name under raw/ is one that programs give to files that are still being transferred."""
    name = key.rsplit("/", 1)[-1].lower()
    return name.startswith(TRANSFERRING_PREFIXES) or name.endswith(TRANSFERRING_SUFFIXES)


def _plain(key: str) -> str:
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return object_name(f"{safe_key(key)}@{digest}")


def quoted(key: str) -> str:
    """A raw key as text for a run's configuration: any key survives, ordinary ones stay readable."""
    return quote(key, safe="/ ()[]@+,=", errors="surrogatepass")


def unquoted(text: str) -> str:
    """The raw key that `quoted` wrote."""
    return unquote(text, errors="surrogatepass")


def sheet_upload(sheet: str, number: int) -> str:
    """The key, below raw/, of what export `number` of a sheet found new."""
    return f"sheet/{sheet}-{number:06d}.csv"


def export_key(sheet: str, number: int) -> str:
    """The fact of that export."""
    return f"{exports_folder(sheet)}{number:06d}.json"


def exports_folder(sheet: str) -> str:
    """The folder of the facts of a sheet's exports."""
    return f"{REGISTER}exports/{sheet}/"


def pending_export_key(sheet: str, number: int, sha256: str) -> str:
    """Where the content of an export is kept until it is an upload."""
    return f"{pending_exports_folder(sheet)}{number:06d}-{sha256[:16]}.csv"


def pending_exports_folder(sheet: str) -> str:
    """The folder of what a sheet's exporters have not finished."""
    return f"sheet/pending/{sheet}/"


def number_of_pending_export(key: str) -> int | None:
    """The number in a key that `pending_export_key` gave; None for a file that is none of an exporter's."""
    return _number(_PENDING_EXPORT, key)


def _number(name: re.Pattern[str], key: str) -> int | None:
    found = name.fullmatch(key.rpartition("/")[2])
    return int(found[1]) if found else None
