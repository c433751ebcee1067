"""The connection to a mail server. Importing it takes its time, for smtplib does.

A server that has a mail may scan it for minutes before it says so. Who does not wait for that answer takes for failed
what was accepted, and sends it again; so RFC 5321 (4.5.3.2.6) asks for more patience there than with any command.
"""

import smtplib

_GO_AHEAD = 354  # to the command DATA: the mail may follow


class PatientSmtp(smtplib.SMTP):
    """Waits `seconds` for everything but a mail's way to the server and the answer to it: `mail_seconds` for each."""

    def __init__(self, host: str, port: int, own_name: str, seconds: float, mail_seconds: float) -> None:
        self._seconds = seconds
        self._mail_seconds = mail_seconds
        super().__init__(host, port, local_hostname=own_name, timeout=seconds)

    def getreply(self) -> tuple[int, bytes]:
        """The server's next answer. Raises SMTPException when none comes in time."""
        code, text = super().getreply()
        if self.sock is not None:
            self.sock.settimeout(self._mail_seconds if code == _GO_AHEAD else self._seconds)
        return code, text
