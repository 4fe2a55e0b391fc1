"""Outgoing mail, in a thread of its own."""

import logging
import os
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage

from sonant.server.settings import Mail

PASSWORD_VARIABLE = "SONANT_MAIL_PASSWORD"  # noqa: S105 - the name of a variable of the environment
SECONDS = 20.0  # for each step of a delivery
MOST_WAITING = 100

logger = logging.getLogger(__name__)


class Mailer:
    """Sends messages by SMTP, one after another. What cannot be sent is logged, without the address."""

    def __init__(self, settings: Mail) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sonant-mail")
        self._waiting = 0

    def send(self, to: str, subject: str, text: str) -> None:
        """Send a message soon; it is dropped if too many wait."""
        if self._waiting >= MOST_WAITING:
            logger.error("a mail was dropped: %d wait for %s", self._waiting, self._settings.host)
            return
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._settings.sender, to, subject
        message.set_content(text)
        self._waiting += 1
        self._thread.submit(self._deliver, message)

    def close(self) -> None:
        """Send what waits, if that does not fail, and stop."""
        self._thread.shutdown(cancel_futures=True)

    def _deliver(self, message: EmailMessage) -> None:
        try:
            with self._connection() as connection:
                if self._settings.user is not None:
                    connection.login(self._settings.user, os.environ.get(PASSWORD_VARIABLE, ""))
                connection.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            code = getattr(error, "smtp_code", "")
            logger.error("a mail could not be sent by %s: %s %s", self._settings.host, type(error).__name__, code)  # noqa: TRY400
        finally:
            self._waiting -= 1

    def _connection(self) -> smtplib.SMTP:
        settings, context = self._settings, ssl.create_default_context()
        assert settings.host is not None
        if settings.security == "tls":
            return smtplib.SMTP_SSL(settings.host, settings.port, timeout=SECONDS, context=context)
        connection = smtplib.SMTP(settings.host, settings.port, timeout=SECONDS)
        if settings.security == "starttls":
            connection.starttls(context=context)
        return connection
