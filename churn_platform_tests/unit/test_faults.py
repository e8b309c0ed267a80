"""Faults: how a program ends with one, and with a bug."""

from __future__ import annotations

import pytest

from churn_platform.faults import Fault, entrance


def test_a_fault_ends_a_program_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, entrance():
        raise Fault("users.csv: it has no line: deliver it again")
    assert ended.value.code == 1
    assert capsys.readouterr() == ("", "Error: users.csv: it has no line: deliver it again\n")


def test_a_bug_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), entrance():
        _ = 1 / 0
    assert capsys.readouterr() == ("", "")
