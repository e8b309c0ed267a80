"""Settings: read from CHURN_* once, checked loudly, and kept secret where they should be."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from churn_platform.months import Month
from churn_platform.settings import GROUPS, Settings, SettingsError, variable


def test_everything_can_be_left_alone() -> None:
    settings = Settings()
    assert settings.home == Path(".churn").resolve()
    assert settings.drops == Path("data/seeds").resolve()
    assert settings.first == Month(2024, 1)
    assert settings.quarantine_tolerance == settings.delta == 0.01
    assert settings.estimator == "blend"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described_in_a_line(name: str) -> None:
    described = Settings.model_fields[name].description
    assert described is not None
    assert described.endswith(".")
    assert "\n" not in described


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHURN_HOME", str(tmp_path / "a" / ".." / "b"))
    monkeypatch.setenv("CHURN_FIRST_MONTH", "2023-11")
    monkeypatch.setenv("CHURN_QUARANTINE_TOLERANCE", "0.05")
    settings = Settings()
    assert settings.home == (tmp_path / "b").resolve()
    assert settings.first == Month(2023, 11)
    assert settings.quarantine_tolerance == 0.05
    assert Settings(first_month="2024-02").first == Month(2024, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("home", "~no-such-user/churn"),
        ("first_month", "January"),
        ("first_month", "2024-13"),
        ("quarantine_tolerance", "1.5"),
        ("quarantine_tolerance", "-0.1"),
        ("quarantine_tolerance", "nan"),
        ("estimator", "neural_network"),
        ("min_training_customers", "1"),
        ("delta", "-1"),
        ("serving_port", "70000"),
        *(("allowed_hosts", host) for host in ("http://churn.example", "churn.example:80", "*", "[fd00", "[x]", "a/b")),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"CHURN_{name.upper()}", value)
    with pytest.raises(SettingsError, match=f"^CHURN_{name.upper()}: "):
        Settings()


def test_all_wrong_values_are_named_in_one_sentence_and_never_shown() -> None:
    secret = ["hidden"]
    with pytest.raises(SettingsError) as refused:
        Settings(first_month="2024-13", api_token=secret, git_commit=5)
    assert sorted(str(refused.value).split("; ")) == [
        "CHURN_API_TOKEN: Input should be a valid string",
        "CHURN_FIRST_MONTH: '2024-13' is not a month: write it as YYYY-MM, such as 2024-01",
        "GIT_COMMIT: Input should be a valid string",
    ]
    assert "hidden" not in "".join(traceback.format_exception(refused.value))


def test_tokens_differ() -> None:
    with pytest.raises(SettingsError, match="CHURN_READ_TOKEN is the same as CHURN_API_TOKEN, so ") as refused:
        Settings(api_token="hidden", contact_token="another", read_token="hidden")
    assert "hidden" not in str(refused.value)
    Settings(api_token="one", contact_token="", read_token="")


def test_everything_lives_under_one_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    places = (settings.lake, settings.data_docs, settings.dagster_home, settings.mlflow_home, settings.serving_home)
    assert all(tmp_path in place.parents for place in places)
    assert len(set(places)) == len(places)
    assert settings.mlflow_uri == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert settings.online_store == f"sqlite:///{tmp_path}/online_store.db"


def test_stores_elsewhere(tmp_path: Path) -> None:
    url = "postgresql://churn:hidden@db/online"
    settings = Settings(home=tmp_path, mlflow_tracking_uri="http://mlflow:5000", online_store_url=url)
    assert settings.mlflow_uri == "http://mlflow:5000"
    assert settings.online_store == url


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    settings = Settings(online_store_url="postgresql://churn:hidden@db/online", api_token="hidden too")
    assert "hidden" not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"


def test_every_setting_stands_in_one_group() -> None:
    named = [name for group in GROUPS for name in group.__annotations__ if name in Settings.model_fields]
    assert sorted(named) == sorted(Settings.model_fields)


def test_the_commit_keeps_the_name_that_images_give_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_COMMIT", "5036b84")
    assert Settings().git_commit == "5036b84"
    assert Settings(git_commit="other").git_commit == "other"
    assert variable("git_commit") == "GIT_COMMIT"


def test_nothing_else_reads_the_environment() -> None:
    """Writing to it for a library that reads it when imported, and passing it on to a child, are different matters."""
    reading = re.compile(r"getenv|environ\.get|environ\[[^]]+\](?! =)|in os\.environ")
    root = Path(__file__).parents[2]
    found = [
        f"{path.relative_to(root)}: {line.strip()}"
        for folder in ("churn_platform", "serving")
        for path in (root / folder).rglob("*.py")
        for line in path.read_text().splitlines()
        if reading.search(line)
    ]
    assert found == []


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().delta = 0.5  # type: ignore[misc]
