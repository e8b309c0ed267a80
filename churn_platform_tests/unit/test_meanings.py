"""Meaning: what a month's files were taken to mean is known, and what is declared otherwise since is told."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from churn_platform.day import living_on
from churn_platform.intake import deliveries
from churn_platform.lake import Lake
from churn_platform.tables import origins
from churn_platform.tables.declared import of_months
from churn_platform.tables.features import ChangedColumnError
from churn_platform.tables.names import ORIGINS
from churn_platform.tables.training_set import (
    NotTrainableError,
    judging,
    matured,
    training_rows,
)
from churn_platform_tests.club_months import MONTH, closed, contract, taken_in

KEYS = ('key = "id"\n', 'key = "id"\nkind = "integer"\n')
FEE = 'Fee = { kind = "number", meaning = "The fee." }'
MOVED = (
    ("[features.history]", '[tables.desk]\nmeaning = "The desk."\nsince = "2024-04"\n[tables.desk.columns]\n'
     'Fee = { kind = "number", meaning = "The fee." }\n[features.history]'),
    ('Fee = { kind = "number", meaning = "The fee." }\n[tables.visits]', "[tables.visits]"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            [KEYS],
            '2024-03 was closed with id of kind "text", and others are other customers: declare that kind again, or'
            " start with an empty CHURN_HOME",
        ),
        (
            [*MOVED],
            "2024-03 has Fee from members, and desk, which has it now, has none in 2024-03: give it another name in"
            " desk, with `header`, and declare it in members with `until`",
        ),
    ],
)
def test_what_no_closing_again_mends_is_told_and_stops(
    tmp_path: Path, changes: list[tuple[str, str]], told: str
) -> None:
    taken_in(closed(tmp_path, contract()))
    lake = Lake(tmp_path, contract(*changes))
    assert [found.sentence for found in of_months(lake) if found.pressing] == [told]
    with pytest.raises(NotTrainableError, match=re.escape(told)):
        training_rows(lake, [MONTH])
    with pytest.raises(ChangedColumnError, match=re.escape(told)):
        origins.refuse_barred(lake, MONTH + 1, anew=True)
    with pytest.raises(ChangedColumnError, match=re.escape(told)):
        origins.refuse_barred(lake, MONTH, anew=False)  # its labels alone, or what was landed
    origins.refuse_barred(lake, MONTH, anew=True)  # no other month is closed


def test_a_column_that_moved_has_another_name_in_its_new_table(tmp_path: Path) -> None:
    taken_in(closed(tmp_path, contract()))
    ended = (FEE, FEE.replace(" }", ', until = "2024-03" }'))
    desk = (MOVED[0][0], MOVED[0][1].replace("Fee =", '"Desk Fee" =').replace(" }", ', header = "Fee" }'))
    lake = Lake(tmp_path, said := contract(ended, desk))
    assert [found.sentence for found in of_months(lake) if found.pressing] == []
    training_rows(lake, [MONTH])
    origins.refuse_barred(lake, MONTH + 1, anew=True)
    assert [table.file.renamed for table in said.states if table.name == "desk"] == [(("Fee", "Desk Fee"),)]


def test_a_month_without_a_record_bars_nothing(tmp_path: Path) -> None:
    closed(tmp_path, contract()).remove(ORIGINS, MONTH)
    for changes in ([KEYS], MOVED):
        assert origins.barred(Lake(tmp_path, contract(*changes)), MONTH) is None
    deliveries.take(Lake(tmp_path, contract()), MONTH, deliveries.STATE, "content", ["members"], [])
    assert origins.barred(Lake(tmp_path, contract(KEYS)), MONTH) is None


LOCKER = ("[tables.visits]", 'Locker = { kind = "boolean", was = ["Box"], meaning = "One." }\n[tables.visits]')
SWAPPED = ('meaning = "Members."\n', 'meaning = "Members."\ntrue_values = ["no"]\nfalse_values = ["YES"]\n')
OTHER_WORDS = ('meaning = "Members."\n', 'meaning = "Members."\ntrue_values = ["ja"]\nfalse_values = ["no"]\n')


def test_what_was_true_and_is_false_now_is_read_otherwise(tmp_path: Path) -> None:
    boxes = (LOCKER[0], LOCKER[1].replace("Locker", "Box").replace('was = ["Box"], ', ""))
    taken_in(closed(tmp_path, contract(boxes)))
    assert origins.made_otherwise(Lake(tmp_path, contract(LOCKER)), MONTH) == []
    assert origins.made_otherwise(Lake(tmp_path, contract(LOCKER, OTHER_WORDS)), MONTH) == []
    assert origins.made_otherwise(Lake(tmp_path, contract(LOCKER, SWAPPED)), MONTH) == ["Locker"]


@pytest.mark.parametrize(
    ("before", "now", "names"),
    [
        (("Y", "y"), ('Y", "J', "y"), []),
        (("Y", "y"), ('Y", "J', 'y", "n'), []),
        (("Y", "y"), ("y", "Y"), ["Locker"]),
        ((), ("Y", "y"), ["Locker"]),  # where none is declared, both are true
    ],
)
def test_capitals_make_a_difference_where_words_are_declared(
    tmp_path: Path, before: tuple[str, ...], now: tuple[str, ...], names: list[str]
) -> None:
    taken_in(closed(tmp_path, contract(LOCKER, *words(*before))))
    assert origins.made_otherwise(Lake(tmp_path, contract(LOCKER, *words(*before))), MONTH) == []
    assert origins.made_otherwise(Lake(tmp_path, contract(LOCKER, *words(*now))), MONTH) == names


def words(*said: str) -> list[tuple[str, str]]:
    """The change that declares a table's words for true and for false; none where nothing is said."""
    return [(SWAPPED[0], SWAPPED[1].replace('"no"', f'"{said[0]}"').replace('"YES"', f'"{said[1]}"'))] if said else []


LABELS = (
    "[features.history]",
    '[tables.labels]\nmeaning = "Who left."\ntrue_values = ["yes"]\nfalse_values = ["no"]\n[tables.labels.columns]\n'
    'churned = { kind = "boolean", role = "label", meaning = "Left." }\n[features.history]',
)


@pytest.mark.parametrize(
    ("changes", "today", "told"),
    [
        ([LABELS, ('["yes"]', '["no"]'), ('false_values = ["no"]', 'false_values = ["yes"]')], date(2025, 1, 1),
         "were taken in as churned was declared before"),
        ([LABELS, ("[tables.members]", "[label]\nhorizon_days = 90\n[tables.members]")], date(2024, 6, 28),
         "count from 2024-06-29 on"),
        ([("[tables.members]", "[label]\nleaves = { after_months = 3 }\n[tables.members]")], date(2025, 1, 1),
         "are to be withdrawn until 2024-06 is closed"),
    ],
)  # fmt: skip
def test_labels_that_are_not_the_declared_ones_are_learned_from_no_more(
    tmp_path: Path, changes: list[tuple[str, str]], today: date, told: str
) -> None:
    taken_in(closed(tmp_path, contract(LABELS)))
    lake = Lake(tmp_path, contract(*changes))
    with living_on(today):
        (found,) = (found.sentence for found in of_months(lake) if found.pressing)
        assert found == (
            f"the labels of 2024-03 {told}, so no version is trained on them: close it again (churn close 2024-03)"
        )
        with pytest.raises(NotTrainableError, match=f"the labels of 2024-03 {told}: close 2024-03 again"):
            training_rows(lake, [MONTH])
        assert (matured(lake), judging(lake)) == ((MONTH,), ())
    with living_on(date(2024, 7, 1)):
        training_rows(Lake(tmp_path, contract(LABELS)), [MONTH])
        assert judging(Lake(tmp_path, contract(LABELS))) == (MONTH,)


def test_labels_say_after_how_many_months_who_leaves_has_left(tmp_path: Path) -> None:
    one, two = (contract(("[tables.members]", f"[label]\nleaves = {{ after_months = {n} }}\n[tables.members]"))
                for n in (1, 2))  # fmt: skip
    taken_in(closed(tmp_path, two))
    assert origins.read_otherwise(Lake(tmp_path, two), MONTH, deliveries.LATER) == []
    assert origins.read_otherwise(Lake(tmp_path, one), MONTH, deliveries.LATER) == ["churned"]
