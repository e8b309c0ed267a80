"""Evidently's private names: what the platform needs beyond its public interface, and why.

Here: those names. Not here: what is done with them (`drift`). An upgrade may move any of them without notice;
`integration/test_monitoring_drift.py` fails where it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch


@contextmanager
def each_column_once() -> Iterator[None]:
    """Have each column of one preset judged once, and drawn once, on a copy of the same empty graph.

    Evidently judges it three times: for the column's own metric, for the preset's table and for the count of those that
    drift. It draws it for the metric as well, in as much time, and a preset that draws itself drops that. Laying out an
    empty graph takes 25 times as long as copying one.
    """
    from evidently.legacy.calculations import data_drift
    from evidently.legacy.utils import visualizations
    from evidently.metrics import column_statistics

    judge = _once(data_drift.get_one_column_drift, "column_name")
    with ExitStack() as patches:
        for module in (data_drift, column_statistics):
            patches.enter_context(patch.object(module, "get_one_column_drift", judge))
        patches.enter_context(patch.object(column_statistics.ValueDriftCalculation, "_render", lambda *_: []))
        patches.enter_context(patch.object(visualizations, "make_subplots", _copied(visualizations.make_subplots)))
        yield


def _once(judge: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function that judges once for each value of this argument."""
    judged: dict[str, Any] = {}

    def once(**how: Any) -> Any:
        if how[name] not in judged:
            judged[how[name]] = judge(**how)
        return judged[how[name]]

    return once


def _copied(make: Callable[..., Any]) -> Callable[..., Any]:
    """A function that makes one graph for each layout, and gives copies of it."""
    from plotly.graph_objects import Figure

    made: dict[str, Any] = {}

    def copied(**layout: Any) -> Any:
        key = repr(layout)
        if key not in made:
            made[key] = make(**layout)
        return Figure(made[key])

    return copied
