"""Alerts: messages to people through Apprise, each sent once.

Here: what an alert is, remembering which were sent, sending. Not here: what is worth an alert (`news`).

An alert is remembered after it was sent, so that a crash between the two repeats it rather than losing it. A lock is
held meanwhile: a sensor and a command may both find the same alert new.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from churn_platform.files import locked, replacing, sha256

MOST_AT_ONCE = 20
"""The most alerts in one round; services refuse floods, and the next round is seconds away."""

# Told that it is text, Apprise escapes it for services that take HTML or Markdown, but leaves tags in Markdown.
_TAG = re.compile(r"<(?=[a-zA-Z/!?])")


class Alert(msgspec.Struct, frozen=True):
    """One thing that people should know. `event` identifies it for ever: the same event is reported once."""

    event: str
    title: str
    body: str


class Remembered(msgspec.Struct, frozen=True):
    """An alert that needs no more sending. `sent` is False where there was nobody to send it to."""

    alert: Alert
    sent: bool
    at: str


@dataclass(frozen=True)
class Round:
    """How many alerts a round sent, and how many it could not send; those are tried again."""

    sent: int
    failed: int


class Outbox:
    """The alerts of one platform: a folder with one JSON file for each that needs no more sending."""

    def __init__(self, folder: Path, urls: str) -> None:
        self.folder = folder
        self._urls = urls

    def send(self, alerts: Iterable[Alert]) -> Round:
        """Send the new ones, in order. Never raises for what Apprise or a service does.

        Without URLs they are remembered all the same: anyone who sets URLs later hears what happens from then on.
        """
        new = [alert for alert in alerts if not self.path(alert).exists()]
        sent = failed = 0
        for alert in new if not self._urls else new[:MOST_AT_ONCE]:
            self.folder.mkdir(parents=True, exist_ok=True)
            with locked(self.folder / ".lock"):
                if self.path(alert).exists():  # another process was faster
                    continue
                if self._urls and not self._notify(alert):
                    failed += 1
                    continue
                sent += bool(self._urls)
                self._remember(alert)
        return Round(sent, failed)

    def _remember(self, alert: Alert) -> None:
        remembered = Remembered(alert, bool(self._urls), datetime.now(UTC).isoformat(timespec="seconds"))
        with replacing(self.path(alert)) as temporary:
            temporary.write_bytes(msgspec.json.encode(remembered))

    def path(self, alert: Alert) -> Path:
        """Where an alert is remembered."""
        return self.folder / f"{sha256(alert.event.encode())[:32]}.json"

    def _notify(self, alert: Alert) -> bool:
        """Send to every URL; True if all took it. A URL that Apprise cannot read counts as one that did not."""
        from apprise import Apprise, NotifyFormat
        from apprise.logger import logger

        logger.disabled = True  # it writes parts of URLs that it cannot read, and what services answer
        to = Apprise()
        try:
            given = bool(to.add(self._urls))
            title, body = (_TAG.sub(r"\\x3c", text) for text in (alert.title, alert.body))
            return given and bool(to.notify(body, title, body_format=NotifyFormat.TEXT))
        except Exception:  # a service's plugin may raise anything, and an alert must not break what it reports
            return False
