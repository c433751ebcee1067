"""The environment: the only module that reads it. What the survey's rules are is in `survey.yaml`."""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from alumni_assets.notifications.configuration import NotifierSettings, notifier_settings
from alumni_assets.private_files import files_kept_private
from alumni_assets.report.configuration import ReportSettings, report_settings
from alumni_assets.sheet.configuration import SheetSettings, sheet_settings
from alumni_assets.spark.configuration import GlueSettings, glue_settings
from alumni_assets.survey_rules import DEFAULT_RULES

EngineName = Literal["local", "spark", "glue"]
LogForm = Literal["text", "json"]
_SHORTEST_KEY = 32
_ARCHIVE_CLASSES = ("STANDARD", "STANDARD_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")


@dataclass(frozen=True)
class QueueSettings:
    """The queue that tells of uploads, by its URL, and how often raw/ is listed nevertheless."""

    url: str
    listing_seconds: int


@dataclass(frozen=True)
class AthenaSettings:
    """The workgroup of Athena and the database of its catalog."""

    workgroup: str
    database: str


class SettingsError(ValueError):
    """An environment variable has a value that means nothing; the message names it and says what does."""


@dataclass(frozen=True)
class Settings:
    """Everything that the environment decides.

    `lake` is a folder or `s3://bucket/prefix`, whose archived copies get the storage class `archive_class`; `roles` is
    how the ARNs of the AWS roles begin in which the components work, empty where they have none. `home` holds the
    warehouse and Dagster's instance; `dagster_home` wins for the instance where it is set. `approver` is the default
    of `approved_by`. `rules` is the survey's configuration file. `queue` is where a bucket tells of uploads; `sheet`
    is the Google Sheet behind the survey's form, if there is one. `notifier` says how people are told what happened,
    `report` who gets the weekly report. `dashboard_port` is that on which this machine serves the page. `athena` is
    where the tables are views too, if anywhere. `engine` is what judges and transforms uploads; `spark_master` and
    `spark_memory` are for Spark on this machine, `glue` is for AWS Glue, if that is the engine. `logs` is the form
    in which logs are printed. `erasure_key` is the secret with which erased persons are remembered, empty without one.
    Intervals are in seconds.
    """

    lake: str
    archive_class: str
    roles: str
    home: Path
    dagster_home: str | None
    home_is_default: bool
    approver: str
    rules: Path
    sensor_interval: int
    queue: QueueSettings | None
    warehouse_memory: str
    notifier: NotifierSettings
    sheet: SheetSettings | None
    report: ReportSettings
    dashboard_port: int
    athena: AthenaSettings | None
    engine: EngineName
    spark_master: str
    spark_memory: str
    glue: GlueSettings | None
    logs: LogForm
    erasure_key: str = field(repr=False)

    @property
    def dashboard_url(self) -> str:
        """Where `alumni dashboard` serves the page."""
        return f"http://127.0.0.1:{self.dashboard_port}/"


def load_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings that an environment gives. Raises `SettingsError`."""

    def value(name: str, default: str) -> str:
        return environment.get(name, "").strip() or default

    home = value("ALUMNI_HOME", ".alumni")
    lake = value("ALUMNI_LAKE", "lake")
    engine = _engine(value("ALUMNI_ENGINE", "local"), environment)
    return Settings(
        lake=lake if "://" in lake else str(Path(lake).expanduser().absolute()),
        archive_class=_archive_class(value("ALUMNI_ARCHIVE_CLASS", "DEEP_ARCHIVE")),
        roles=_roles(value("ALUMNI_ROLES", "")),
        home=Path(home).expanduser().absolute(),
        dagster_home=value("DAGSTER_HOME", "") or None,
        home_is_default=not environment.get("ALUMNI_HOME", "").strip(),
        approver=value("ALUMNI_APPROVER", ""),
        rules=Path(value("ALUMNI_SURVEY", str(DEFAULT_RULES))).expanduser().absolute(),
        # Dagster looks every five seconds which sensors are due; one whose interval is hardly shorter it would find
        # due only every other time.
        sensor_interval=_seconds("ALUMNI_SENSOR_SECONDS", value("ALUMNI_SENSOR_SECONDS", "3")),
        queue=_queue(value("ALUMNI_QUEUE", ""), value("ALUMNI_LISTING_SECONDS", "900"), lake),
        warehouse_memory=_memory("ALUMNI_WAREHOUSE_MEMORY", value("ALUMNI_WAREHOUSE_MEMORY", "500MB")),
        notifier=_notifier(environment),
        sheet=_sheet(environment),
        report=_report(environment),
        dashboard_port=_port("ALUMNI_DASHBOARD_PORT", value("ALUMNI_DASHBOARD_PORT", "8300")),
        athena=_athena(
            value("ALUMNI_WAREHOUSE", "duckdb"),
            AthenaSettings(value("ALUMNI_ATHENA_WORKGROUP", "alumni"), value("ALUMNI_ATHENA_DATABASE", "alumni")),
            lake,
        ),
        engine=engine,
        spark_master=value("ALUMNI_SPARK_MASTER", "local[*]"),
        spark_memory=_memory("ALUMNI_SPARK_MEMORY", value("ALUMNI_SPARK_MEMORY", "2GB")),
        glue=_glue(environment) if engine == "glue" else None,
        logs=_logs(value("ALUMNI_LOGS", "text")),
        erasure_key=_erasure_key(value("ALUMNI_ERASURE_KEY", "")),
    )


@dataclass(frozen=True)
class DemoSettings:
    """Where `make demo` listens, and in whose name it approves; `environment` is what Dagster is started with."""

    port: int
    approver: str
    environment: Mapping[str, str]


def load_demo_settings(environment: Mapping[str, str] = os.environ) -> DemoSettings:
    """The settings of the demonstration. Raises `SettingsError`."""
    approver = environment.get("ALUMNI_APPROVER") or "demo visitor"
    return DemoSettings(_port("PORT", environment.get("PORT", "3000")), approver, environment)


def _engine(name: str, environment: Mapping[str, str]) -> EngineName:
    match name:
        case "local" | "glue" as needs_nothing_here:
            return needs_nothing_here
        case "spark":
            _require_spark(environment)
            if environment.get("ALUMNI_ROLES", "").strip():
                raise SettingsError(
                    "ALUMNI_ENGINE is 'spark', whose jobs work with this process's own rights, but with ALUMNI_ROLES "
                    "it has none in the lake. Set ALUMNI_ENGINE to local or glue."
                )
            return "spark"
    raise SettingsError(f"ALUMNI_ENGINE is {name!r}; it takes local, spark or glue.")


def _require_spark(environment: Mapping[str, str]) -> None:
    if find_spec("pyspark") is None:
        raise SettingsError(
            "ALUMNI_ENGINE is 'spark', but pyspark is not installed. Run `make spark`, or install alumni_assets[spark]."
        )
    if not environment.get("JAVA_HOME") and shutil.which("java", path=environment.get("PATH")) is None:
        raise SettingsError(
            "ALUMNI_ENGINE is 'spark', but there is no Java on this machine. Install Java 17 or set JAVA_HOME."
        )


def _glue(environment: Mapping[str, str]) -> GlueSettings:
    try:
        return glue_settings(environment)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _athena(warehouse: str, athena: AthenaSettings, lake: str) -> AthenaSettings | None:
    if warehouse == "duckdb":
        return None
    if warehouse != "athena":
        raise SettingsError(f"ALUMNI_WAREHOUSE is {warehouse!r}; it takes duckdb or athena.")
    if not lake.startswith("s3://"):
        raise SettingsError("ALUMNI_WAREHOUSE is 'athena', but ALUMNI_LAKE is no bucket: Athena reads nothing else.")
    if find_spec("pyathena") is None:
        raise SettingsError(
            "ALUMNI_WAREHOUSE is 'athena', but pyathena is not installed. Install alumni_assets[athena]."
        )
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", athena.workgroup):
        raise SettingsError(f"ALUMNI_ATHENA_WORKGROUP is {athena.workgroup!r}; it takes the name of a workgroup.")
    if not re.fullmatch(r"[a-z0-9_]{1,255}", athena.database):
        raise SettingsError(
            f"ALUMNI_ATHENA_DATABASE is {athena.database!r}; it takes lower-case letters, digits and underscores."
        )
    return athena


def _logs(form: str) -> LogForm:
    if form == "text":
        return "text"
    if form != "json":
        raise SettingsError(f"ALUMNI_LOGS is {form!r}; it takes text or json.")
    return "json"


def _erasure_key(key: str) -> str:
    if key and len(key) < _SHORTEST_KEY:
        raise SettingsError(
            f"ALUMNI_ERASURE_KEY has {len(key)} characters; it takes a secret of at least {_SHORTEST_KEY}, such as "
            "`openssl rand -hex 32` gives."
        )
    return key


def _notifier(environment: Mapping[str, str]) -> NotifierSettings:
    try:
        return notifier_settings(environment)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _sheet(environment: Mapping[str, str]) -> SheetSettings | None:
    try:
        return sheet_settings(environment)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _report(environment: Mapping[str, str]) -> ReportSettings:
    try:
        return report_settings(environment)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _archive_class(name: str) -> str:
    if name not in _ARCHIVE_CLASSES:
        raise SettingsError(f"ALUMNI_ARCHIVE_CLASS is {name!r}; it takes one of {', '.join(_ARCHIVE_CLASSES)}.")
    return name


def _roles(start: str) -> str:
    if start and not re.fullmatch(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]*", start):
        raise SettingsError(
            f"ALUMNI_ROLES is {start!r}; it takes how the ARNs of the components' roles begin, such as "
            "arn:aws:iam::123456789012:role/alumni-."
        )
    return start


def _queue(url: str, listing_seconds: str, lake: str) -> QueueSettings | None:
    if not url:
        return None
    if not url.startswith(("https://", "http://")):
        raise SettingsError(f"ALUMNI_QUEUE is {url!r}; it takes the URL of an SQS queue.")
    if not lake.startswith("s3://"):
        raise SettingsError(
            "ALUMNI_QUEUE is set, but ALUMNI_LAKE is no bucket: only a bucket tells a queue of uploads."
        )
    return QueueSettings(url, _seconds("ALUMNI_LISTING_SECONDS", listing_seconds))


def _seconds(name: str, text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 86_400:
        raise SettingsError(f"{name} is {text!r}; it takes a whole number of seconds from 1 to 86400.")
    return int(text)


def _port(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= 65_535:
        raise SettingsError(f"{name} is {text!r}; it takes a port from 1 to 65535.")
    return int(text)


def _memory(name: str, text: str) -> str:
    number, unit = text[:-2], text[-2:].upper()
    if unit not in {"MB", "GB"} or not number.isdecimal() or int(number) == 0:
        raise SettingsError(f"{name} is {text!r}; it takes an amount of memory such as 500MB or 4GB.")
    return f"{number}{unit}"


def prepare_lake(settings: Settings) -> None:
    """Make the lake's folder on the first start with it, and remember in `home`, made too, that it was made.

    Both are their owner's alone. Later, a lake's folder that is missing is an error: it may be a disk that is not
    mounted. Raises `SettingsError`.
    """
    known, lake = settings.home / "lake_location", os.fsencode(settings.lake)
    try:
        with files_kept_private():
            settings.home.mkdir(parents=True, exist_ok=True)
            if "://" in settings.lake or (known.exists() and known.read_bytes() == lake):
                return
            (Path(settings.lake) / "raw").mkdir(parents=True, exist_ok=True)
            known.write_bytes(lake)
    except OSError as error:
        raise SettingsError(
            f"The folder {error.filename} cannot be used: {error.strerror}. "
            "ALUMNI_LAKE says where the lake is, ALUMNI_HOME where the pipeline keeps its own files."
        ) from error
