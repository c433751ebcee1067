"""What the environment says about AWS Glue: which job, on which workers, for how long.

Reads the mapping that `settings.py` hands over, which alone reads the environment. What else the job is, its role and
its version of Spark among them, is in its definition: docs/aws.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from alumni_assets.notifications.configuration import lookup

WORKER_TYPES = ("G.1X", "G.2X", "G.4X", "G.8X", "G.12X", "G.16X", "R.1X", "R.2X", "R.4X", "R.8X")
_LONGEST_NAME = 255


@dataclass(frozen=True)
class GlueSettings:
    """The Glue job, and what one run of it may take.

    `workers` is how many there are, the driver's among them; where they are scaled, how many there are at most.
    A run that takes longer than `minutes` is ended. `logs` is how the names of its log groups in CloudWatch begin.
    """

    job: str
    worker_type: str
    workers: int
    autoscaling: bool
    minutes: int
    logs: str


def glue_settings(environment: Mapping[str, str]) -> GlueSettings:
    """Glue's part of an environment. Raises ValueError with a sentence that names the variable."""
    value = lookup(environment)
    if not value("ALUMNI_LAKE").startswith("s3://"):
        raise ValueError("ALUMNI_ENGINE is 'glue', but ALUMNI_LAKE is no bucket: Glue reads and writes buckets only.")
    return GlueSettings(
        job=_job(value("ALUMNI_GLUE_JOB")),
        worker_type=_worker_type(value("ALUMNI_GLUE_WORKER_TYPE", "G.1X")),
        workers=_whole_number("ALUMNI_GLUE_WORKERS", value("ALUMNI_GLUE_WORKERS", "10"), 2, 299),
        autoscaling=_switch("ALUMNI_GLUE_AUTOSCALING", value("ALUMNI_GLUE_AUTOSCALING", "true")),
        minutes=_whole_number("ALUMNI_GLUE_MINUTES", value("ALUMNI_GLUE_MINUTES", "120"), 1, 2880),
        logs=_log_groups(value("ALUMNI_GLUE_LOGS", "/aws-glue/jobs")),
    )


def _job(name: str) -> str:
    if not name:
        raise ValueError("ALUMNI_ENGINE is 'glue', but ALUMNI_GLUE_JOB is missing; it takes the name of the Glue job.")
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"ALUMNI_GLUE_JOB is {name!r}; it takes the name of a Glue job.")
    return name


def _worker_type(name: str) -> str:
    if name not in WORKER_TYPES:
        raise ValueError(f"ALUMNI_GLUE_WORKER_TYPE is {name!r}; it takes one of {', '.join(WORKER_TYPES)}.")
    return name


def _log_groups(start: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9_./#-]*[A-Za-z0-9_.#-]", start):
        raise ValueError(
            f"ALUMNI_GLUE_LOGS is {start!r}; it takes how the names of log groups begin, such as /aws-glue/jobs."
        )
    return start


def _whole_number(name: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise ValueError(f"{name} is {text!r}; it takes a whole number from {least} to {most}.")
    return int(text)


def _switch(name: str, text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"{name} is {text!r}; it takes true or false.")
    return text.lower() == "true"
