"""What the environment says about the weekly report: who gets it, from whom, and by which way.

Reads the mapping that `settings.py` hands over, which alone reads the environment. When it is prepared and whether a
person has to send it is in `survey.yaml`; the mail server is that of the notifications.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from alumni_assets.notifications.configuration import (
    MailSettings,
    addresses,
    lookup,
    mail_settings,
    sender_address,
)

Via = Literal["smtp", "ses"]


@dataclass(frozen=True)
class ReportSettings:
    """Who gets the report (nobody, where there are no recipients), and who writes; `mail` belongs to `smtp`.

    `roles` is how the ARNs of the components' AWS roles begin, for `ses`; empty without them.
    """

    recipients: tuple[str, ...]
    via: Via
    sender: str
    mail: MailSettings | None
    roles: str = ""


def report_settings(environment: Mapping[str, str]) -> ReportSettings:
    """The report's part of an environment. Raises ValueError with a sentence that names the variable.

    Without recipients nothing else is looked at.
    """
    value = lookup(environment)
    via = _via(value("ALUMNI_REPORT_VIA", "smtp"))
    if not value("ALUMNI_REPORT_TO"):
        return ReportSettings((), via, "", None)
    if via == "ses":
        recipients, sender = addresses(value, "ALUMNI_REPORT_TO"), sender_address(value, "ALUMNI_REPORT_FROM")
        return ReportSettings(recipients, via, sender, None, value("ALUMNI_ROLES"))
    mail = mail_settings(value, "ALUMNI_REPORT_TO", "ALUMNI_REPORT_FROM")
    return ReportSettings(mail.recipients, via, mail.sender, mail)


def _via(text: str) -> Via:
    match text.lower():
        case "smtp" | "ses" as via:
            return via
    raise ValueError(f"ALUMNI_REPORT_VIA is {text!r}; it takes smtp or ses.")
