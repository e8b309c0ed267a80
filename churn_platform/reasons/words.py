"""Words: a feature and a customer's value of it, as a few words and as a sentence.

Here: `month-to-month contract` from `contract_type` and `Month-to-month`. Not here: how much it matters (`shapley`), or
which features are told (`telling`).

The words come from the feature's name, since a declaration has no shorter one, and hold for any company's names: where
the name does not tell how to say a value, it is `name: value`. Values are a company's data: they are cut, and
what a terminal would take for more than text is taken out.
"""

from __future__ import annotations

import re

from churn_platform.bundle import Feature, Value
from churn_platform.shown import MOST, as_text

_PAST = re.compile(r"(.+)_(change|ratio)_([0-9]+)m")
"""The features that the platform derives from a column's history (`company.past`)."""

_SPAN = re.compile(r"(.+?)[_ ]([0-9]+)d")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\WA-Z_]+|[^\W_]+")
_KIND = ("type", "kind", "tier")
"""The last words of names whose values go before the others: `contract_type` is `yearly contract`."""

_NO = ("no", "none", "false")
_YES = ("yes", "true")
_ANSWERS = {*_NO, *_YES, "unknown"}
_VERBS = ("has", "is", "was", "uses", "gets")

_MEASURES = {"number", "num", "count", "of", "average", "avg", "mean", "min", "max"}
"""Words of names that say by themselves how much it is: nobody says `3 number of calls`."""

_NO_PLURAL = ("us", "is", "as", "ss")
_OTHER_SINGULAR = re.compile(r".*(([sxzoi]|[cs]h)es|ews)")
"""Endings of plurals that may lose more than their s, or none: `boxes`, `movies`, `bonuses`, `news`."""


def phrase(feature: Feature, value: Value) -> str:
    """The feature's value in a few words, such as `3 failed payments (90 days)` or `unknown contract`."""
    if (past := _PAST.fullmatch(feature.name)) and not isinstance(value, str):
        return _of_the_past(noun(past[1]), past[2], int(past[3]), value)
    name = noun(feature.name)
    if value is None:
        *words, last = _without_verb(name).split(" ")
        return " ".join(["unknown", *words, *([] if words and last in _KIND else [last])])
    if (answer := _answer(feature, value)) is not None:
        return _yes_or_no(name, yes=answer)
    if isinstance(value, str):
        return _category(name, as_text(value, MOST))
    return _number(name, float(value))


def sentence(feature: Feature, value: Value, contribution: float) -> str:
    """The same with the feature's declared meaning, and which way it moves the risk."""
    direction = "raises" if contribution > 0 else "lowers"
    said = as_text(_said(feature, value), MOST)
    return f"{feature.meaning.rstrip('.')}: {said}. This {direction} the risk."


def noun(name: str) -> str:
    """A column's name as words, with the days that it spans: `watch_hours_30d` is `watch hours (30 days)`."""
    spans = _SPAN.fullmatch(name)
    words = [word if word.isupper() and len(word) > 1 else word.lower() for word in _WORD.findall(name)]
    if spans:
        return f"{' '.join(words[:-2] if words[-1] == 'd' else words[:-1])} ({spans[2]} days)"
    return " ".join(words) or name


def _said(feature: Feature, value: Value) -> str:
    if value is None:
        return "unknown"
    answer = _answer(feature, value)
    if isinstance(value, bool) or (answer is not None and value in ("True", "False")):
        return "yes" if answer else "no"
    return value if isinstance(value, str) else f"{value:.6g}"


def _answer(feature: Feature, value: Value) -> bool | None:
    """Yes or no, also where a category says so; None for every other value.

    A category does where the feature has no others: `No` among other countries is Norway.
    """
    if isinstance(value, bool):
        return value
    categories = {category.lower() for category in feature.categories}
    if not isinstance(value, str) or not categories or not categories <= _ANSWERS:
        return None
    text = value.lower()
    return True if text in _YES else False if text in _NO else None


def _yes_or_no(name: str, *, yes: bool) -> str:
    first, _, rest = name.partition(" ")
    if first in ("is", "was") and rest:
        return rest if yes else f"not {rest}"
    return _without_verb(name) if yes else f"no {_without_verb(name)}"


def _without_verb(name: str) -> str:
    first, _, rest = name.partition(" ")
    return rest if first in _VERBS and rest else name


def _category(name: str, value: str) -> str:
    *words, last = name.split(" ")
    if not words or last not in _KIND or not value[:1].isalnum() or not {*_VERBS}.isdisjoint(words):
        return f"{name}: {value}"
    return f"{value if value[1:2].isupper() else value[:1].lower() + value[1:]} {' '.join(words)}"


def _number(name: str, value: float) -> str:
    """A whole number of things before what is counted, and anything else behind its name."""
    words, space, span = name.partition(" (")
    if not value.is_integer() or value < 0 or not _countable(words, one=value == 1):
        return f"{name}: {figure(value)}"
    if value == 1:
        words = words.removesuffix("s")
    return f"{'no' if value == 0 else figure(value)} {words}{space}{span}"


def _countable(words: str, *, one: bool) -> bool:
    """Whether a name's words are things that are counted, and, for one of them, what it is called is sure."""
    every = words.split(" ")
    last = every[-1]
    if not last.endswith("s") or last.endswith(_NO_PLURAL) or not _MEASURES.isdisjoint(every) or every[0] in _VERBS:
        return False
    return not one or _OTHER_SINGULAR.fullmatch(last) is None


def _of_the_past(name: str, what: str, months: int, value: float | None) -> str:
    since = "since last month" if months == 1 else f"in {months} months"
    before = "last month" if months == 1 else f"the {months} months before"
    if value is None:
        return f"unknown change of {name}"
    if value == (0 if what == "change" else 1):
        return f"{name}: unchanged {since if what == 'change' else f'against {before}'}"
    if what == "change":
        return f"{name}: {'up' if value > 0 else 'down'} {figure(abs(value))} {since}"
    return f"{name}: {figure(value)} times {before}"


def figure(value: float) -> str:
    """A number as people write it: three digits that count, whole ones in full, such as `0.46`, `70.3` and `1,204`."""
    if value.is_integer() or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
