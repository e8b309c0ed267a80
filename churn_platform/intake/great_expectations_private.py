"""Great Expectations' private names: what the platform needs beyond its public interface, and why.

Here: those names. Not here: what is judged (`expectations`). An upgrade may move any of them without notice;
`integration/test_expectations.py` fails where it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration


@contextmanager
def each_configuration_once() -> Iterator[None]:
    """Have each expectation say once how it is configured, while it cannot change.

    Great Expectations asks it for each of its arguments, a hundred times while it is evaluated, and works it out anew.
    That is a third of judging a small table.
    """
    from great_expectations.expectations.expectation import Expectation

    work_out = Expectation.configuration.fget  # it is a property
    said: dict[int, tuple[Expectation, ExpectationConfiguration]] = {}  # with the expectation: ids are used again

    def configuration(self: Expectation) -> ExpectationConfiguration:
        if id(self) not in said:
            said[id(self)] = self, work_out(self)
        return said[id(self)][1]

    with patch.object(Expectation, "configuration", property(configuration)):
        yield
