"""Leaking months: nobody promotes a candidate that learned from the label, and an audit says so beforehand."""

from __future__ import annotations

from pathlib import Path

from churn_platform.modelling.evaluation import Evaluation
from churn_platform.monitoring import rejected
from churn_platform.months import Month
from churn_platform.tables.names import EVALUATION
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform, done
from churn_platform_tests.streamflow import KEY, LABEL

MARCH = Month(2024, 3)


def leak(drop: Path) -> None:
    """Fill a column of the usage once it is known who left."""
    header, *labels = homes.rows_of(drop / "labels.csv")
    left = {row[header.index(KEY)] for row in labels if row[header.index(LABEL)] == "True"}

    def fill(rows: homes.Rows) -> None:
        user, skips = rows[0].index(KEY), rows[0].index("skips_7d")
        for row in rows[1:]:
            row[skips] = "40" if row[user] in left else row[skips]

    homes.edit(drop / "usage_agg_30d.csv", fill)


def test_what_learned_from_a_leak_is_not_promoted(trained: Platform, tmp_path: Path):
    platform = trained.copy(tmp_path)
    leak(sorted(platform.settings.drops.iterdir())[2])
    done(platform, "close", str(MARCH))
    told = done(platform, "retrain", str(MARCH))
    assert "is not promoted" in told
    assert "alone has AUC" in told
    assert "skips_7d" in told  # and what is made of it
    evaluation = platform.home.lake.require_document(EVALUATION, MARCH, Evaluation, "churn retrain")
    assert [month.month for month in evaluation.earlier] == ["2024-01", "2024-02"]
    failed = {gate.name for gate in evaluation.gates if gate.blocking and not gate.passed}
    assert failed == {"implausible_jump", "lone_feature"}
    champion = platform.home.registry.champion()
    assert champion is not None
    assert champion.number == trained.home.ledger.champion()
    kept = rejected.newest(platform.home, champion, MARCH + 1)
    assert kept is not None
    assert kept.version == 3  # not this one, which would shine on every month with the same leak


def test_an_audit_says_which_gates_would_stop_a_leak(trained: Platform, tmp_path: Path):
    platform = trained.copy(tmp_path)
    before = homes.contents(platform.settings.home / "lake")
    told = done(platform, "audit", "2024-02")
    as_delivered, *planted = [line for line in told.splitlines() if ": AUC " in line]
    assert as_delivered.startswith("as delivered") and "no gate" in as_delivered
    assert [line.partition(",")[0] for line in planted] == ["plain", "faint", "gaps"]
    assert all("stopped by" in line for line in planted)
    assert homes.contents(platform.settings.home / "lake") == before
    assert "is not closed" in done(platform, "audit", "2024-09", exit_code=1)
