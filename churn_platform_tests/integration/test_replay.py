"""The replay: a small company's months through the real assets, and what retraining was worth.

Not here: months with a shock, which take longer than all of these (`system.test_replayed_shock`).
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from churn_platform.cli import main
from churn_platform.home import Home
from churn_platform.intake import landing
from churn_platform.intake.drops import DropError
from churn_platform.local.joining import RunFailedError
from churn_platform.local.making import RefusedError
from churn_platform.months import Month
from churn_platform.progress import Progress
from churn_platform.replay.player import settings_in
from churn_platform.replay.regret import Lived, summary
from churn_platform.replay.screen import conclude, follow
from churn_platform.replay.simulated import replay
from churn_platform.settings import Settings

QUICK = "logistic_regression"
"""The estimator that trains fastest: which one it is makes no difference here."""


def quick_settings_in(folder: Path) -> Settings:
    return settings_in(folder).model_copy(update={"estimator": QUICK})


def test_labels_come_a_month_late_and_are_trained_on_then(tmp_path: Path) -> None:
    first, second = replay(quick_settings_in(tmp_path), 2, 600, 2)
    assert (first.version, first.auc, first.causes) == (None, None, ())
    assert second.version == 1
    assert Home(settings_in(tmp_path)).registry.version(1).month == Month(2024, 1)


def test_a_company_too_small_to_train_on_goes_on(tmp_path: Path) -> None:
    (month,) = replay(settings_in(tmp_path), 1, 60, 1, label_delay=0)
    assert month.version is None
    assert len(month.causes) == len(month.faults) == 1  # few customers stay few: it is not tried again
    assert "CHURN_MIN_TRAINING_CUSTOMERS" in month.faults[0]
    assert summary([month]) is None


def test_a_bug_in_scikit_learn_ends_the_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_fit(*_: object, **__: object) -> None:
        raise ValueError("bins are odd")

    monkeypatch.setattr("sklearn.ensemble.HistGradientBoostingClassifier.fit", broken_fit)
    with pytest.raises(ValueError, match="bins are odd") as raised:
        next(replay(settings_in(tmp_path), 1, 600, 2, label_delay=0))
    assert "broken_fit" in [entry.name for entry in raised.traceback]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            DropError("users: no rows"),
            pytest.raises(RunFailedError, match=r"2024-01 was not closed: .*: users: no rows"),
        ),
        (dg.DagsterExecutionInterruptedError(), pytest.raises(KeyboardInterrupt)),
    ],
)
def test_a_month_that_stops_ends_the_replay(
    fault: BaseException, told: AbstractContextManager[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge(*_: object) -> None:
        raise fault

    monkeypatch.setattr(landing, "judge_state", judge)
    with told:
        next(replay(settings_in(tmp_path), 1, 60, 1))


def test_months_that_are_not_over_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="2,000 months from 2024-01 would end with 2190-08, which is not over yet"):
        next(replay(settings_in(tmp_path), 2000, 60, 1))


def test_nothing_of_the_persons_own_platform_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setenv("CHURN_ONLINE_STORE_URL", "postgresql://db/online")
    monkeypatch.setenv("CHURN_ALERT_URLS", "json://somewhere")
    monkeypatch.setenv("CHURN_DELTA", "0.02")
    settings = settings_in(tmp_path)
    assert settings.mlflow_uri == f"sqlite:///{tmp_path}/home/mlflow/mlflow.db"
    assert settings.online_store == f"sqlite:///{tmp_path}/home/online_store.db"
    assert not settings.alert_urls.get_secret_value()
    assert settings.delta == 0.02  # what decides stays the person's own


def lived(auc: float | None, first: float | None, gated: float | None, fresh: float | None) -> Lived:
    """A month with two retrainings, the second of which failed."""
    causes, faults = ("RETRAINING_TRIGGERED no champion yet", "again"), ("retrain failed",)
    return Lived("2024-01", 0.1, causes, faults, None, 0.8, auc is not None, 1, auc, first, gated, fresh, 0.9)


def test_the_mean_regrets_are_of_the_months_with_a_champion() -> None:
    found = summary([lived(None, None, None, None), lived(0.8, 0.7, 0.8, 0.85), lived(0.9, 0.7, 0.84, 0.85)])
    assert found is not None
    assert (found.months, found.retrainings, found.promotions) == (2, 6, 2)
    assert found.regret == pytest.approx(0.05)
    assert found.regret_never_retraining == pytest.approx(0.2)
    assert found.regret_retraining_each_month == pytest.approx(0.08)
    assert found.regret_without_gate == pytest.approx(0.05)
    late, _, regrets = conclude(found, label_delay=1).splitlines()
    assert late == "labels came 1 month after their drop (--label-delay)"
    assert conclude(found, label_delay=0).startswith("labels came together with their drop")
    assert regrets == (
        "mean regret in AUC: 0.0500; never retraining 0.2000, retraining each month 0.0800, and without the gate 0.0500"
    )
    assert conclude(None, label_delay=1) == "no month had a champion"


def test_each_month_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    months = [lived(0.85, 0.7, 0.8, 0.8), lived(None, None, None, None)]
    assert follow(months, 2, Progress(by_task=True), quiet=False) == tuple(months)
    told = capsys.readouterr()
    assert [line.partition(",")[0] for line in told.err.splitlines()] == [
        f"living through month {number} of 2" for number in (1, 2)
    ]
    head, promoted, without = told.out.splitlines()
    assert head.split() == ["month", "drift", "champion", "candidate", "serves", "best", "cause"]
    assert promoted.split("  ")[0] == "2024-01"
    assert " 0.8000     promoted      0.8500  0.9000  first training; again; " in promoted
    assert "not promoted" in without
    follow(months, 2, Progress(by_task=True), quiet=True)
    assert capsys.readouterr().out == ""


def test_the_command_gives_json() -> None:
    arguments = ["replay", "--months", "1", "--customers", "600", "--seed", "2", "--label-delay", "0", "--json"]
    result = CliRunner().invoke(main, arguments, env={"CHURN_ESTIMATOR": QUICK})
    found = json.loads(result.stdout)
    assert (set(found), found["label_delay"]) == ({"months", "summary", "label_delay"}, 0)
    (month,) = found["months"]
    assert month["causes"] == ["RETRAINING_TRIGGERED no champion yet"]
    assert month["promoted"] is True
    assert found["summary"]["promotions"] == 1


def test_a_wrong_shock_is_told() -> None:
    result = CliRunner().invoke(main, ["replay", "--shock", "2024-02:flood"])
    assert result.exit_code == 1
    assert "the kinds are price_rise" in result.stderr
