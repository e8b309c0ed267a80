"""URLs among the settings: what any library would take wrongly is refused, and nothing of it is shown."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from urllib.parse import quote, unquote

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr
from sqlalchemy import make_url

from churn_platform.settings import Settings, SettingsError
from churn_platform.settings.urls import secrets_of, secrets_of_alerts, without_secrets
from churn_platform_tests.hostile_urls import MALFORMED, PASSWORDS, SOUND, left_in


def each(values: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(name, url) for name, urls in values.items() for url in urls]


@pytest.mark.parametrize(("name", "url"), each(MALFORMED))
def test_what_could_be_taken_wrongly_is_refused(name: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(SettingsError, match=rf"\A{name}: [^\n]+\Z") as refused:
        Settings()
    told = str(refused.value)
    assert any(word in told for word in ("such as", "has to be", "write", "option", "comes a path", "may hold")), told
    assert left_in("".join(traceback.format_exception(refused.value))) == []


@pytest.mark.parametrize(("name", "url"), each(SOUND))
def test_what_is_sound_is_taken(name: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, url)
    found = getattr(Settings(), name.removeprefix("CHURN_").lower())
    assert (found.get_secret_value() if isinstance(found, SecretStr) else found) == url


@pytest.mark.parametrize("password", PASSWORDS)
def test_all_libraries_read_an_encoded_password(password: str) -> None:
    url = f"postgresql://churn:{quote(password, safe='')}@127.0.0.1:5432/churn"
    assert Settings(postgres_url=url).postgres_url.get_secret_value() == url
    assert conninfo_to_dict(url)["password"] == make_url(url).password == password
    assert password in map(unquote, secrets_of(url))
    assert left_in(without_secrets(url)) == []


def test_a_password_that_is_shown_anyway_is_no_secret() -> None:
    assert list(secrets_of("postgresql://churn:churn@db/churn")) == []
    assert list(secrets_of("postgresql://ann@db/churn?password=a%40bc")) == [
        "postgresql://ann@db/churn?password=a%40bc",
        "a@bc",
    ]


def test_tokens_of_alerts_are_secrets() -> None:
    found = set(secrets_of_alerts("json://127.0.0.1/hook, discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"))
    assert {"4174216298", "JHMHI8qBe7bk2ZwO5U711o3dV_js"} <= found
    assert "127.0.0.1" not in found


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("https://ann:hidden@host:5000/a?b=hidden", "https://host:5000/a"),
        ("postgresql://churn:hidden@db/mlflow", "postgresql://db/mlflow"),
        ("sqlite:////home/a@b?c/mlflow.db", "sqlite:////home/a@b?c/mlflow.db"),
    ],
)
def test_what_is_shown_of_a_url(url: str, what: str) -> None:
    assert without_secrets(url) == what


def test_links_hold_no_password() -> None:
    assert Settings(dagster_url="http://ann:hidden@dagster:3000/").run_url("1") == "http://dagster:3000/runs/1"
