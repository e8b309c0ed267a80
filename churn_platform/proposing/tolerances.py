"""Tolerances: how much of a month may be broken or missing before intake stops it.

Here: the company's own, which its proposal keeps to. Not here: their defaults (`settings`).
"""

from __future__ import annotations

from typing import NamedTuple

_FEWEST_SOUND = 0.9


class Tolerances(NamedTuple):
    """Shares: `broken` of a table's rows may be quarantined, `absent` of the customers may have no row in a table."""

    broken: float
    absent: float

    @property
    def sound(self) -> float:
        """The share of a column's values that have to be of its kind.

        Who bears that most rows are broken still does not mean a column of texts by a number.
        """
        return max(1 - self.broken, _FEWEST_SOUND)
