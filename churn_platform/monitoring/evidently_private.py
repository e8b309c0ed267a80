"""Evidently's private names: what the platform needs beyond its public interface, and why.

Here: those names. Not here: what is done with them (`drift`). An upgrade may move any of them without notice;
`integration/test_monitoring_drift.py` fails where it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch


@contextmanager
def drawn_once() -> Iterator[None]:
    """Have each column of a preset drawn for the preset's table alone.

    Evidently draws it for the column's own metric as well, in as much time, and a preset that draws itself drops that.
    """
    from evidently.metrics.column_statistics import ValueDriftCalculation

    with patch.object(ValueDriftCalculation, "_render", lambda *_: []):
        yield
