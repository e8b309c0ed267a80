"""Kinds: the types of settings that need more than Python's own.

Here: what a value may be, and what it is read as. Not here: the settings themselves (`groups`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from churn_platform.months import Month

DELIVERED = "delivered"
ODDITIES = ("fewer_customers", "repeated_month", "few_labels", "equal_labels")
"""What may be odd about a drop as a whole, see `intake.oddities`."""

WARNING_GATES = ("looks", "implausible_jump", "lone_feature", "telling_gaps", "calibration", "worst_segment")
"""Gates that people may set to warn only, see `modelling.gate`."""

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except RuntimeError as error:  # a loop of links, or ~NAME where no user has that name
        raise ValueError("there is no such place: it is a loop of links, or no user has the name after ~") from error


def _as_named(path: Path) -> Path:
    """Absolute, and not where its links lead: that may change while the platform runs, and is then a change of it."""
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise ValueError("there is no such place: no user has the name after ~") from error


def _month_key(key: str) -> str:
    return str(Month.parse(key))


def _last_month(key: str) -> str:
    return key if key in ("", DELIVERED) else _month_key(key)


def _oddities(names: str) -> str:
    if unknown := set(names.replace(",", " ").split()) - set(ODDITIES):
        raise ValueError(f"{', '.join(sorted(unknown))} is none of {', '.join(ODDITIES)}")
    return names


def _gates(names: str) -> str:
    if unknown := set(names.replace(",", " ").split()) - set(WARNING_GATES):
        raise ValueError(f"{', '.join(sorted(unknown))} is none of {', '.join(WARNING_GATES)}")
    return names


def _host_names(names: str) -> str:
    if not all(_HOST_NAME.fullmatch(name) for name in names.replace(",", " ").split()):
        raise ValueError("it must hold names of hosts such as churn.example.com, without scheme and port")
    return names


def _unless_empty(place: object) -> object:
    return None if place == "" else place


DeclarationFile = Annotated[Path | None, BeforeValidator(_unless_empty), AfterValidator(lambda f: f and _as_named(f))]
OptionalFolder = Annotated[Path | None, BeforeValidator(_unless_empty), AfterValidator(lambda f: f and _absolute(f))]
Folder = Annotated[Path, AfterValidator(_absolute)]
MonthKey = Annotated[str, AfterValidator(_month_key)]
LastMonthKey = Annotated[str, AfterValidator(_last_month)]
OddityNames = Annotated[str, AfterValidator(_oddities)]
GateNames = Annotated[str, AfterValidator(_gates)]
HostNames = Annotated[str, AfterValidator(_host_names)]
FileMode = Literal["600", "640"]
Estimator = Literal["blend", "hist_gradient_boosting", "random_forest", "logistic_regression"]
DriftReference = Literal["champion", "previous"]
