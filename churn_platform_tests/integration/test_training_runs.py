"""The training assets in their runs: what they need first, and how they say what goes wrong."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import ibis
import pandas as pd
import pytest

from churn_platform.bundle import Bundle
from churn_platform.definitions import build_defs
from churn_platform.modelling import encoding, estimators, evaluation
from churn_platform.months import Month
from churn_platform.tables.names import landed
from churn_platform.tables.training_set import holdout
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.streamflow import KEY, LABEL, LABELS

FIRST, SECOND, THIRD = homes.MONTHS


def materialize(platform: Platform, month: Month, *assets: str) -> dg.ExecuteInProcessResult:
    """Materialize only these assets."""
    return (
        build_defs(platform.settings)
        .resolve_implicit_global_asset_job_def()
        .execute_in_process(
            instance=dg.DagsterInstance.ephemeral(),
            partition_key=str(month),
            asset_selection=[dg.AssetKey(asset) for asset in assets],
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
    )


def failure(result: dg.ExecuteInProcessResult) -> dg.StepFailureData:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data


def sentence(result: dg.ExecuteInProcessResult) -> str | None:
    """What a failed run says in plain words; None if it shows a stack trace instead."""
    told = failure(result).user_failure_data
    return told.description if told else None


@pytest.mark.parametrize(
    ("asset", "needs"), [("candidate", "training_set"), ("evaluation", "candidate"), ("promotion", "evaluation")]
)
def test_what_comes_before_is_named(asset: str, needs: str, closed: Platform, tmp_path: Path) -> None:
    result = materialize(closed.copy(tmp_path), SECOND, asset)
    assert sentence(result) == f"{needs} of 2024-02 is not there: run churn retrain 2024-02 first"


def test_a_record_that_cannot_be_read_is_named(closed: Platform, tmp_path: Path) -> None:
    platform = closed.copy(tmp_path)
    record = platform.home.lake.path("evaluation", SECOND, ".json")
    record.parent.mkdir()
    record.write_text("half of i")
    told = sentence(materialize(platform, SECOND, "promotion"))
    assert told is not None
    assert told.startswith(f"{record} cannot be read: JSON is malformed")
    status = platform.churn("status")
    assert status.exit_code == 1
    assert f"{record} cannot be read" in status.stderr
    assert "churn retrain 2024-02" in status.stderr


def keep_labels(platform: Platform, month: Month, churned: Callable[[pd.DataFrame], pd.Series]) -> None:
    """Land other labels, without a run."""
    lake = platform.home.lake
    labels = lake.frame(landed(LABELS.name), month)
    labels[LABEL] = churned(labels)
    lake.write(landed(LABELS.name), month, ibis.memtable(labels).order_by(KEY))


def held_out(labels: pd.DataFrame) -> pd.Series:
    """Which of these customers no version is ever trained on."""
    return pd.Series([hashlib.sha256(key.encode()).hexdigest()[0] in "0123" for key in labels[KEY]], labels.index)


def one_trained(labels: pd.DataFrame) -> pd.Series:
    """Of the customers who may be trained on, only one has churned."""
    churned: pd.Series = labels[KEY] == labels[KEY][~held_out(labels)].iloc[0]
    return churned


def none_held_out(labels: pd.DataFrame) -> pd.Series:
    """Of the holdout customers, nobody has churned."""
    return labels[LABEL] & ~held_out(labels)


@pytest.mark.parametrize(
    ("churned", "told"),
    [
        (one_trained, r"month 2024-01 has 1 churned of \d+ training customers: too few of a class to validate on"),
        (
            none_held_out,
            r"0 of \d+ customers churned: measuring needs some who did and some who did not",
        ),
    ],
)
def test_labels_that_cannot_be_learned_from_are_told_in_one_sentence(
    churned: Callable[[pd.DataFrame], pd.Series], told: str, closed: Platform, tmp_path: Path
) -> None:
    platform = closed.copy(tmp_path)
    keep_labels(platform, FIRST, churned)
    result = materialize(platform, FIRST, "training_set", "candidate")
    assert re.match(told, sentence(result) or "")
    error = failure(result).error
    assert error is not None
    assert error.cls_name == "Failure" and error.cause is None


def test_a_month_without_labels_in_the_holdout_is_told(closed: Platform, tmp_path: Path) -> None:
    platform = closed.copy(tmp_path)
    lake = platform.home.lake
    labels = lake.frame(landed(LABELS.name), FIRST)
    lake.write(landed(LABELS.name), FIRST, ibis.memtable(labels[~held_out(labels)]).order_by(KEY))
    result = materialize(platform, FIRST, "training_set", "candidate")
    assert (sentence(result) or "").startswith("0 of 0 customers churned: ")


def test_a_bug_in_scikit_learn_keeps_its_stack_trace(
    closed: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sklearn.ensemble.HistGradientBoostingClassifier.fit", broken_fit)
    result = materialize(closed.copy(tmp_path), FIRST, "training_set", "candidate")
    assert sentence(result) is None
    error = failure(result).error
    assert error is not None and error.cause is not None
    assert (error.cause.cls_name, error.cause.message) == ("ValueError", "ValueError: bins are odd\n")
    assert any("broken_fit" in line for line in error.cause.stack)
    assert any("modelling/training.py" in line for line in error.cause.stack)


def broken_fit(*_: object, **__: object) -> None:
    raise ValueError("bins are odd")


def test_a_fault_keeps_what_another_library_raised_before_it(closed: Platform, tmp_path: Path) -> None:
    platform = closed.copy(tmp_path)
    record = platform.home.lake.path("evaluation", FIRST, ".json")
    record.parent.mkdir()
    record.write_text("half of i")
    error = failure(materialize(platform, FIRST, "promotion")).error
    assert error is not None and error.cause is not None
    assert error.cause.cls_name == "DecodeError"


def test_a_comparison_encodes_the_holdout_once_and_has_each_model_score_it_once(
    trained: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, encodings, scorings = trained.copy(tmp_path), [], []
    size = len(holdout(platform.home.lake, SECOND))
    encode, score, predict = encoding.encode_frame, Bundle.score, estimators.predict

    def counted_encode(schema: Any, frame: Any) -> Any:
        encodings.append(len(frame))
        return encode(schema, frame)

    def counted_score(bundle: Bundle, rows: Any) -> Any:
        scorings.append(len(rows))
        return score(bundle, rows)

    def counted_predict(pipeline: Any, rows: Any) -> Any:
        scorings.append(len(rows))
        return predict(pipeline, rows)

    for module in (encoding, evaluation):
        monkeypatch.setattr(module, "encode_frame", counted_encode, raising=False)
    monkeypatch.setattr(Bundle, "score", counted_score)
    monkeypatch.setattr(estimators, "predict", counted_predict)
    monkeypatch.setattr("churn_platform.assets.carding.keep", lambda *_: "")  # a card measures once more by itself
    assert materialize(platform, SECOND, "evaluation").success
    assert encodings == [size]
    assert scorings.count(size) == 3  # two bundles, and the candidate's pipeline
