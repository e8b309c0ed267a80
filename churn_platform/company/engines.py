r"""Engines: what a declaration hands on to Python and DuckDB as it is: regular expressions, encodings, forms of dates.

Here: why an engine would not take one. Not here: what the rest of a declaration has to agree on (`checking`), or the
reading that uses them (`intake`). Each answer continues "its pattern" or the like.
"""

from __future__ import annotations

import codecs
import re
from datetime import date, datetime

from churn_platform.shown import inert

_FLAGS = re.compile(r"(?:(?:\s|#[^\n]*\n)*\(\?[aimsux]+\))*")
"""The flags that a pattern begins with; Python takes blanks and comments between them where one of them is `x`."""
_LOCAL = re.compile("%[cxX]")
"""Forms that Python writes otherwise than DuckDB reads."""
_DAY = date(2001, 2, 3)
_TEXT = "a,1\n"


def whole(pattern: str) -> str:
    """The regular expression of texts that match a pattern from end to end. Flags such as `(?i)` have to come first."""
    flags = _FLAGS.match(pattern)
    assert flags is not None  # it matches nothing, too
    end = "\n" if re.compile(pattern).flags & re.VERBOSE else ""  # there, the pattern may end with a comment
    return rf"{flags[0]}\A(?:{pattern[flags.end() :]}{end})\Z"


def wrong_pattern(pattern: str) -> str | None:
    """Why Python, which compares texts with a pattern, does not take it; None where it does."""
    try:
        re.compile(pattern)
        re.compile(whole(pattern))
    except RecursionError:
        return "is no regular expression: it is nested too deeply"
    except (re.error, ValueError, OverflowError) as error:
        return f"is no regular expression: {inert(error)}"
    return None


def wrong_encoding(encoding: str) -> str | None:
    """Why no file can be read in an encoding; None where one can."""
    try:
        codecs.getincrementaldecoder(encoding)
        if _TEXT.encode(encoding).decode(encoding) == _TEXT:
            return None
    except (LookupError, ValueError):  # it may be one of something else than text, too, such as rot13
        pass
    return f"there is no encoding {inert(encoding)}"


def wrong_date_format(form: str) -> str | None:
    """Why days cannot be read in a form; None where they can."""
    try:
        sound = not _LOCAL.search(form) and datetime.strptime(_DAY.strftime(form), form).date() == _DAY
    except (ValueError, re.error):
        sound = False
    told = f"date_format {inert(form)} does not say a whole date: %Y-%m-%d does, and %d.%m.%Y"
    return None if sound else told
