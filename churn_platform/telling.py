"""Telling: what this process says by itself, in log records and tracebacks, holds no secret and forges nothing.

Here: the records and tracebacks, whoever makes them. Not here: what is secret (`secrets`), or how a text is made safe
(`shown`).

A record is one: where it quotes a value with line breaks, all lines but the first are indented. No value moves a
terminal's cursor.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from churn_platform.secrets import blanked
from churn_platform.shown import as_lines

_INDENTED = "    "

_watching = threading.Lock()  # held for ever by whoever began to watch


def watch() -> None:
    """Have this process tell everything so from now on. A second time does nothing."""
    if not _watching.acquire(blocking=False):
        return
    logging.setLogRecordFactory(_recording(logging.getLogRecordFactory()))
    sys.excepthook = _told
    threading.excepthook = _telling_of_threads(threading.excepthook)


def safe(text: str) -> str:
    """A text of lines, as it may be told."""
    return as_lines(blanked(text))


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python writes of an error that nobody has caught."""
    sys.stderr.write(f"{_as_record(_formatted(kind, error, trace), error)}\n")


def _telling_of_threads(other: Callable[[threading.ExceptHookArgs], Any]) -> Callable[[threading.ExceptHookArgs], Any]:
    def told(found: threading.ExceptHookArgs) -> None:
        formatted = _formatted(found.exc_type, found.exc_value, found.exc_traceback)
        if (text := _as_record(formatted, found.exc_value)) == formatted:
            other(found)
        else:
            name = found.thread.name if found.thread else "unknown"
            sys.stderr.write(f"Exception in thread {name}:\n{text}\n")

    return told


def _recording(make: Callable[..., logging.LogRecord]) -> Callable[..., logging.LogRecord]:
    def record(*arguments: Any, **named: Any) -> logging.LogRecord:
        made = make(*arguments, **named)
        try:
            message = made.getMessage()
        except Exception:  # whoever logs has made a mistake, which logging would tell with all values
            message = f"{made.msg} {made.args}"
        if (told := as_lines(blanked(message), _INDENTED)) != message:
            made.msg, made.args = told, ()
        if made.exc_info:
            formatted = _formatted(*made.exc_info)
            if (told := _as_record(formatted, made.exc_info[1])) != formatted:
                made.exc_info, made.exc_text = None, told
        return made

    return record


def _formatted(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> str:
    return "".join(traceback.format_exception(kind, error, trace)).rstrip("\n")


def _as_record(formatted: str, error: BaseException | None) -> str:
    """An error's traceback as it may be told: where its own text has lines, none looks like a record's first."""
    several = any(map(_has_lines, _chain(error)))
    return as_lines(blanked(formatted), _INDENTED if several else "")


def _has_lines(error: BaseException) -> bool:
    return "".join(traceback.format_exception_only(error)).count("\n") > 1


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that led to it, each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
