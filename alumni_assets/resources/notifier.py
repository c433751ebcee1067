"""The notifier as a Dagster resource: the channels that are on, and where links lead.

A plain object, not a configurable resource: Dagster shows the configuration of those in the UI, and this one has a
password in it. Messages are decided on and sent in `notifications/`.
"""

import logging
from pathlib import Path

from dagster import DagsterInstance

from alumni_assets.notifications.channels import Channel, EmailChannel, LogChannel, SnsChannel
from alumni_assets.notifications.configuration import NotifierSettings
from alumni_assets.notifications.happenings import History
from alumni_assets.notifications.messages import Links
from alumni_assets.notifications.telling import Teller, open_outbox
from alumni_assets.resources.lake_interface import Lake
from alumni_assets.resources.survey import SurveyResource


class NotifierResource:
    """The channels of the settings; each may be replaced by its like in tests."""

    def __init__(self, settings: NotifierSettings) -> None:
        self._settings = settings
        self.links = Links(settings.ui_url)

    def teller(self, lake: Lake, survey: SurveyResource, instance: DagsterInstance) -> Teller:
        """Who tells people what happens to the pipeline of that lake."""
        home = Path(survey.home)
        return Teller(
            lake=lake,
            register=survey.register_of(lake),
            history=History(instance),
            rules=survey.contract().rules,
            outbox=open_outbox(home),
            home=home,
            links=self.links,
        )

    def channels(self, logger: logging.Logger) -> list[Channel]:
        """All channels that are on; `logger` is where the log goes."""
        log: list[Channel] = [LogChannel(logger)] if "log" in self._settings.channels else []
        return [*log, *self.remote_channels()]

    def remote_channels(self) -> list[Channel]:
        """The channels that reach people elsewhere: a channel for each address, and the topic."""
        mail = self._settings.mail
        addresses: list[Channel] = [EmailChannel(mail, recipient) for recipient in mail.recipients] if mail else []
        return [*addresses, *([SnsChannel(self._settings.topic, self._settings.roles)] if self._settings.topic else [])]
