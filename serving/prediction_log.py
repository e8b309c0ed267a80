"""The prediction log: what was answered, for audits and for judging the champion by what it served.

Here: newline-delimited JSON under `serving/prediction_log/`, one file per day and process, appended a few times a
second, off the request path, and removed some days later. Each line has `time` (UTC), the key (null for a what-if),
`version`, `as_of` (null for a what-if), `probability` and `route`. Read it as a table with DuckDB:

    SELECT * FROM read_json('.churn/serving/prediction_log/*.jsonl', format = 'newline_delimited')

Losing rows never costs an answer: those that the bounded queue or the disk does not take are counted in a metric. Who
takes a customer's lines out (`churn_platform.erasure.predictions`) holds the same lock as who writes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path

import msgspec

from churn_platform.files import locked
from serving.metrics import Metrics

log = logging.getLogger(__name__)

LOCK = ".lock"
"""The file in the log's folder that is locked by whoever writes there."""

_SECONDS = 0.25  # short, so that a busy service's rows are written in parts too small to hold up an answer


class Logged(msgspec.Struct, frozen=True, gc=False):
    """One answered prediction."""

    time: datetime
    customer: int | str | None
    version: int
    as_of: str | None
    probability: float
    route: str


def _today() -> date:
    return datetime.now(UTC).date()


class PredictionLog:
    """Takes rows at once and writes them later. `limit` bounds how many wait.

    A file is removed `days` after its day, by whichever process looks first; each looks once a day.
    """

    def __init__(
        self, folder: Path, limit: int, metrics: Metrics, days: int, today: Callable[[], date] = _today
    ) -> None:
        self._folder = folder
        self._limit = limit
        self._metrics = metrics
        self._days = days
        self._today = today
        self._looked: date | None = None
        self._waiting: deque[Logged] = deque()
        self._name = f"{socket.gethostname()}-{os.getpid()}.jsonl"
        self._failing = False

    def add(self, row: Logged) -> None:
        """Take one row, or count it as lost."""
        if len(self._waiting) < self._limit:
            self._waiting.append(row)
        else:
            self._metrics.lost_log_rows.inc()

    async def run(self) -> None:
        """Write until cancelled, and then what is left."""
        try:
            while True:
                await asyncio.sleep(_SECONDS)
                await self.flush()
        finally:
            self._write(self._take())

    async def flush(self) -> None:
        """Write what waits, in a thread, and remove what is too old."""
        if rows := self._take():
            await asyncio.shield(asyncio.to_thread(self._write, rows))
        if self._looked != (today := self._today()):
            self._looked = today
            await asyncio.shield(asyncio.to_thread(self._remove, today - timedelta(days=self._days)))

    def _take(self) -> list[Logged]:
        rows = list(self._waiting)
        self._waiting.clear()
        return rows

    def _write(self, rows: list[Logged]) -> None:
        encode = msgspec.json.Encoder().encode_lines
        for day, of_day in groupby(rows, key=lambda row: row.time.date()):
            lines = list(of_day)
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                with (
                    locked(self._folder / LOCK),
                    (self._folder / f"{day}-{self._name}").open("ab") as file,
                ):
                    file.write(encode(lines))
                self._failing = False
            except OSError as error:
                self._metrics.lost_log_rows.inc(len(lines))
                if not self._failing:  # once, not every time
                    self._failing = True
                    log.error("predictions are not logged: %s", error)

    def _remove(self, oldest: date) -> None:
        """Remove the files of days before this one. Files with other names are a person's, and stay."""
        try:
            old = [path for path in self._folder.glob("*.jsonl") if _day_of(path, oldest) < oldest]
        except OSError as error:
            log.error("old prediction logs are not found: %s", error)
            return
        for path in old:
            try:
                with locked(self._folder / LOCK):  # or an erasure may put it there again
                    path.unlink(missing_ok=True)  # another process may be doing the same
            except OSError as error:
                log.error("an old prediction log is not removed: %s", error)


def _day_of(path: Path, otherwise: date) -> date:
    """The day in a file's name."""
    try:
        return date.fromisoformat(path.name[:10])
    except ValueError:
        return otherwise
