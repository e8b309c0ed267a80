"""Faults: what goes wrong in a way that a person can mend, told in one sentence.

Here: the one base class. Not here: the faults themselves; each stands with what raises it.
"""


class Fault(Exception):
    """Its message names the file, month, table, column or setting, and says what to do; a stack trace adds nothing."""
