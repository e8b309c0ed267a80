"""Secrets: what the settings hold that no text may show, wherever a library puts it.

Here: knowing them, and blanking them: in a text, and in the tracebacks and log records of this process. Not here: which
settings are secret (`settings`), or the other places where texts of libraries come in (`faults`, and
`automation.dagster_private` for all that Dagster keeps).
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote

BLANK = "***"

_SHORTEST = 4
"""How many letters a secret has at least: every text is full of shorter ones."""

_known: set[str] = set()
_pattern: re.Pattern[str] | None = None
_watching = threading.Lock()  # held for ever by whoever began to watch


def keep(secrets: Iterable[str]) -> None:
    """Blank these too from now on, however a library writes them."""
    global _pattern
    for secret in secrets:
        plain = unquote(secret)
        written = {secret, plain, quote(plain, safe=""), repr(plain)[1:-1], json.dumps(plain)[1:-1]}
        _known.update(way for way in written if len(way) >= _SHORTEST)
    longest_first = sorted(_known, key=len, reverse=True)  # a URL before the password in it
    _pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def blanked(text: str) -> str:
    """The text without secrets."""
    return _pattern.sub(BLANK, text) if _pattern is not None else text


def watch() -> None:
    """Have this process show no secret in tracebacks and log records. A second time does nothing."""
    if not _watching.acquire(blocking=False):
        return
    logging.setLogRecordFactory(_recording(logging.getLogRecordFactory()))
    sys.excepthook = _told
    threading.excepthook = _telling_of_threads(threading.excepthook)


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python writes of an error that nobody has caught."""
    sys.stderr.write(blanked("".join(traceback.format_exception(kind, error, trace))))


def _telling_of_threads(other: Callable[[threading.ExceptHookArgs], Any]) -> Callable[[threading.ExceptHookArgs], Any]:
    def told(found: threading.ExceptHookArgs) -> None:
        text = "".join(traceback.format_exception(found.exc_type, found.exc_value, found.exc_traceback))
        if blanked(text) == text:
            other(found)
        else:
            name = found.thread.name if found.thread else "unknown"
            sys.stderr.write(f"Exception in thread {name}:\n{blanked(text)}")

    return told


def _recording(make: Callable[..., logging.LogRecord]) -> Callable[..., logging.LogRecord]:
    def record(*arguments: Any, **named: Any) -> logging.LogRecord:
        made = make(*arguments, **named)
        try:
            message = made.getMessage()
        except Exception:  # whoever logs has made a mistake, which logging would tell with all values
            message = f"{made.msg} {made.args}"
        if (safe := blanked(message)) != message:
            made.msg, made.args = safe, ()
        if made.exc_info:
            text = "".join(traceback.format_exception(*made.exc_info)).rstrip("\n")
            if (safe := blanked(text)) != text:
                made.exc_info, made.exc_text = None, safe
        return made

    return record
