"""What the environment says about notifications: channels, mail server, topic, the UI's address.

Reads the mapping that `settings.py` hands over, which alone reads the environment. The thresholds are in
`survey.yaml`. How messages are sent is in `channels.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

CHANNELS = ("log", "email", "sns")
GMAIL = "smtp.gmail.com"
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_URL = re.compile(r"https?://[A-Za-z0-9._~:/\[\]@%-]+")
_APP_PASSWORD = re.compile(r"[a-z]{4}( [a-z]{4}){3}")


class Lookup(Protocol):
    """Looks up a variable; blank is as good as absent."""

    def __call__(self, name: str, default: str = "") -> str: ...


@dataclass(frozen=True)
class MailSettings:
    """A mail server, who writes, and who is written to. `ca_file` replaces the system's own authorities."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    sender: str
    recipients: tuple[str, ...]
    starttls: bool
    ca_file: str


@dataclass(frozen=True)
class NotifierSettings:
    """The channels that are on; `mail` and `topic` belong to `email` and `sns`. `ui_url` is what links begin with.

    `roles` is how the ARNs of the components' AWS roles begin; empty without them.
    """

    channels: tuple[str, ...]
    mail: MailSettings | None
    topic: str
    ui_url: str
    roles: str = ""


def notifier_settings(environment: Mapping[str, str]) -> NotifierSettings:
    """The notifier's part of an environment. Raises ValueError with a sentence that names the variable.

    What belongs to a channel that is off is not looked at.
    """

    value = lookup(environment)
    channels = _channels(value("ALUMNI_NOTIFY", "log"))
    return NotifierSettings(
        channels=channels,
        mail=mail_settings(value, "ALUMNI_SMTP_TO") if "email" in channels else None,
        topic=_topic(value("ALUMNI_SNS_TOPIC_ARN")) if "sns" in channels else "",
        ui_url=_ui_url(value("ALUMNI_UI_URL", "http://127.0.0.1:3000")),
        roles=value("ALUMNI_ROLES"),
    )


def lookup(environment: Mapping[str, str]) -> Lookup:
    """Looks variables up in an environment."""

    def value(name: str, default: str = "") -> str:
        return environment.get(name, "").strip() or default

    return value


def topic_region(topic: str) -> str:
    """The region in a topic's ARN."""
    return topic.split(":")[3]


def mail_settings(value: Lookup, recipients: str, sender: str = "ALUMNI_SMTP_FROM") -> MailSettings:
    """The mail server of ALUMNI_SMTP_*, with the variables that name who is written to, and who writes.

    Without a sender of its own it is that of ALUMNI_SMTP_FROM, or the user. Raises ValueError.
    """
    host, user, starttls = value("ALUMNI_SMTP_HOST", GMAIL), value("ALUMNI_SMTP_USER"), _starttls(value)
    password = value("ALUMNI_SMTP_PASSWORD")
    if not _HOST.fullmatch(host):
        raise ValueError(f"ALUMNI_SMTP_HOST is {host!r}; it takes the name of a mail server, such as {GMAIL}.")
    if bool(user) != bool(password):
        raise ValueError("ALUMNI_SMTP_USER and ALUMNI_SMTP_PASSWORD belong together: set both, or neither.")
    if user and not starttls:
        raise ValueError("ALUMNI_SMTP_STARTTLS is off; a password is sent over an encrypted connection only.")
    return MailSettings(
        host=host,
        port=_port(value("ALUMNI_SMTP_PORT", "587")),
        user=user,
        password=password.replace(" ", "") if _APP_PASSWORD.fullmatch(password) else password,
        sender=sender_address(value, sender),
        recipients=addresses(value, recipients),
        starttls=starttls,
        ca_file=_ca_file(value("ALUMNI_SMTP_CA_FILE")),
    )


def sender_address(value: Lookup, name: str) -> str:
    """Who writes, by the variable of that name, or else ALUMNI_SMTP_FROM, or else the user. Raises ValueError."""
    return _address(name, value(name, value("ALUMNI_SMTP_FROM", value("ALUMNI_SMTP_USER"))))


def addresses(value: Lookup, name: str) -> tuple[str, ...]:
    """The addresses in the variable of that name, each once. Raises ValueError, also where there is none."""
    return tuple(dict.fromkeys(_address(name, address.strip()) for address in value(name).split(",")))


def _channels(text: str) -> tuple[str, ...]:
    named = [name.strip().lower() for name in text.split(",")]
    if named == ["none"]:
        return ()
    unknown = [name for name in named if name not in CHANNELS]
    if unknown:
        raise ValueError(
            f"ALUMNI_NOTIFY is {text!r}; it takes log, email and sns, several of them parted by commas, or none."
        )
    return tuple(name for name in CHANNELS if name in named)


def _address(name: str, text: str) -> str:
    if not _ADDRESS.fullmatch(text) or len(text) > 254:
        many = ", or several parted by commas" if name.endswith("_TO") else ""
        missing = "is missing" if not text else f"is {text!r}"
        raise ValueError(f"{name} {missing}; it takes an e-mail address such as ana@school.edu.ph{many}.")
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= 65_535:
        raise ValueError(f"ALUMNI_SMTP_PORT is {text!r}; it takes a port from 1 to 65535, usually 587.")
    return int(text)


def _starttls(value: Lookup) -> bool:
    text = value("ALUMNI_SMTP_STARTTLS", "true").lower()
    if text not in {"true", "false"}:
        raise ValueError(f"ALUMNI_SMTP_STARTTLS is {text!r}; it takes true or false.")
    return text == "true"


def _ca_file(text: str) -> str:
    if text and not Path(text).expanduser().is_file():
        raise ValueError(f"ALUMNI_SMTP_CA_FILE is {text!r}; there is no such file.")
    return str(Path(text).expanduser()) if text else ""


def _topic(text: str) -> str:
    if not _TOPIC.fullmatch(text):
        missing = "is missing" if not text else f"is {text!r}"
        raise ValueError(
            f"ALUMNI_SNS_TOPIC_ARN {missing}; it takes a topic such as arn:aws:sns:ap-southeast-1:123456789012:alumni."
        )
    return text


def _ui_url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise ValueError(f"ALUMNI_UI_URL is {text!r}; it takes an address such as https://dagster.school.edu.ph.")
    return text.rstrip("/")
