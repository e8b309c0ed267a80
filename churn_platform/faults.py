"""Faults: what goes wrong in a way that a person can put right, told in one sentence.

Here: the base class, and how a program ends with a fault. Not here: the faults themselves; each is defined beside the
code that raises it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class Fault(Exception):
    """Its message names the file, month, table, column or setting, and says what to do; a stack trace adds nothing.

    A `lasting` one comes back however often the same thing is tried, until somebody changes what its message names.
    Any other may pass by itself, as when a store does not answer.
    """

    lasting: ClassVar[bool] = False


@contextmanager
def entrance() -> Iterator[None]:
    """Wraps a whole program: a fault ends it with its sentence and exit code 1; a bug keeps its traceback."""
    try:
        yield
    except Fault as fault:
        sys.stderr.write(f"Error: {fault}\n")
        raise SystemExit(1) from fault
