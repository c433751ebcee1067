"""What a Spark job is asked to do and what it answers: plain data, sent through dagster-pipes.

Neither holds personal data: rows stay in the lake.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pydantic import TypeAdapter

from alumni_assets.spark.versions import versions
from alumni_assets.survey.detection import FileFormat
from alumni_assets.survey_rules import SurveyRules


@dataclass(frozen=True)
class Judging:
    """An upload to be judged; its tables are put into the lake under keys that begin with `stem`.

    `day` is that of its arrival, in the survey's time zone.
    """

    upload: str
    day: date
    file_format: FileFormat
    stem: str


@dataclass(frozen=True)
class Transforming:
    """An upload whose valid rows are to be transformed, under keys that begin with `stem`.

    `received_at` is in UTC, without zone; `keeps_duplicates` is for corrections.
    """

    upload: str
    received_at: datetime
    keeps_duplicates: bool
    stem: str


@dataclass(frozen=True)
class Deriving:
    """The tables below the approval, to be made under keys that begin with `stem`.

    `uploads` are those that count, each with the hash of its transformed rows; `corrections` those among them that
    are corrections, in the order of their arrival.
    """

    uploads: dict[str, str]
    corrections: tuple[str, ...]
    stem: str


@dataclass(frozen=True)
class Request:
    """One job. `lake` is the lake's location, `rules` are the survey's; `spark` configures the session."""

    lake: str
    rules: SurveyRules
    spark: dict[str, str]
    judging: tuple[Judging, ...] = ()
    transforming: tuple[Transforming, ...] = ()
    deriving: Deriving | None = None


@dataclass(frozen=True)
class Judged:
    """What became of judging an upload: counts and hashes, or why it cannot be read, or what broke.

    `reasons` are `(column header, code, count)`; `unreadable` is `(code, message)`; `seconds` of wall time.
    """

    upload: str
    rows: int = 0
    valid: int = 0
    invalid: int = 0
    seconds: float = 0.0
    content: str = ""
    invalid_content: str = ""
    reasons: tuple[tuple[str, str, int], ...] = ()
    unreadable: tuple[str, str] | None = None
    failure: str = ""


@dataclass(frozen=True)
class Transformed:
    """What became of transforming an upload: counts and hashes, why its rows are refused, or what broke."""

    upload: str
    rows: int = 0
    exact_duplicates: int = 0
    seconds: float = 0.0
    source: str = ""
    content: str = ""
    refusal: str = ""
    failure: str = ""


@dataclass(frozen=True)
class Derived:
    """For each query the keys of the Parquet files with its rows in the lake, in their order; or what broke."""

    files: dict[str, tuple[str, ...]]
    failure: str = ""


Outcome = Judged | Transformed | Derived
_REQUEST = TypeAdapter(Request)
_KINDS: dict[str, type[Outcome]] = {kind.__name__: kind for kind in (Judged, Transformed, Derived)}


def request_as_json(request: Request) -> Any:
    """A request as what JSON knows."""
    return _REQUEST.dump_python(request, mode="json")


def order(request: Request) -> dict[str, Any]:
    """All that a job is told through dagster-pipes: what to do, and which versions must be alike there."""
    return {"versions": versions(), "request": request_as_json(request)}


def request_from_json(found: Any) -> Request:
    """The request that `request_as_json` gave. Raises pydantic's ValidationError for anything else."""
    return _REQUEST.validate_python(found)


def outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome as what JSON knows."""
    kind = type(outcome)
    return {"kind": kind.__name__, "outcome": TypeAdapter(kind).dump_python(outcome, mode="json")}


def outcome_from_json(found: Any) -> Outcome:
    """The outcome that `outcome_as_json` gave."""
    return TypeAdapter(_KINDS[found["kind"]]).validate_python(found["outcome"])
