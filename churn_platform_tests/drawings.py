"""Drawings: the graphs on drift pages, which tests make by the thousand and seldom look at.

Here: one drawing of each kind, shown wherever a page has one of its kind. Not here: how graphs are drawn, or tests of
that, which ask for the fixture `drawn` (`monitoring.drift`, and its tests).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

from churn_platform.monitoring import drift
from churn_platform.monitoring.evidently_private import each_column_once

GRAPHS = ("plot_agg_line_data", "plot_distr_with_perc_button")


def draw_once(patch: pytest.MonkeyPatch) -> None:
    """Have Evidently draw each kind of graph once in this process, as long as the patch lasts."""
    patch.setattr(drift, "each_column_once", _each_kind_once)


def draw(patch: pytest.MonkeyPatch) -> None:
    """Have it draw all of them, as long as the patch lasts."""
    patch.setattr(drift, "each_column_once", each_column_once)


@contextmanager
def _each_kind_once() -> Iterator[None]:
    from evidently.legacy.metrics.data_drift import data_drift_table

    with each_column_once(), pytest.MonkeyPatch.context() as patch:
        for name in GRAPHS:
            patch.setattr(data_drift_table, name, _first_of(getattr(data_drift_table, name)))
        yield


@cache
def _first_of(plot: Callable[..., Any]) -> Callable[..., Any]:
    drawn: list[Any] = []

    def first(**shown: Any) -> Any:
        if not drawn:
            drawn.append(plot(**shown))
        return drawn[0]

    return first
