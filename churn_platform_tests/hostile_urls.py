"""Hostile URLs: settings that a library would take wrongly, and passwords that are hard to keep quiet about.

Here: the values, and looking for what is left of a secret. Not here: what must be said about them (the tests).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_HALVES = ("Zq7.xKw.", "9vT.r4bM")
SECRET = "".join(_HALVES)
"""A part of every password here. Any six letters of it hold a full stop, so base64, of which pages are full, has none
of them by chance; and four of them may stand in compressed bytes by chance, but not six."""

_CHARACTERS = '@/?#% \t\n[]^"\\{}|<>`ü\u2100\uff20'

MALFORMED_POSTGRES = (
    *(f"postgresql://churn:{_HALVES[0]}{character}{_HALVES[1]}@127.0.0.1:1/churn" for character in _CHARACTERS),
    f"postgresql://{SECRET}@x:y@127.0.0.1:1/churn",
    f"postgresql://churn:{SECRET}%zz@127.0.0.1:1/churn",
    f"postgresql://churn:{SECRET}%00@127.0.0.1:1/churn",
    f"postgresql://churn:{SECRET}%ff@127.0.0.1:1/churn",
    f"postgresql://churn:{SECRET}",
    f"postgresql://churn:{SECRET}@",
    f"postgresql://churn:{SECRET}@/churn",
    f"postgresql://churn:{SECRET}@:5432/churn",
    f"postgresql://churn:{SECRET}@127.0.0.1:port/churn",
    f"postgresql://churn:{SECRET}@127.0.0.1:99999/churn",
    f"postgresql://churn:{SECRET}@127.0.0.1:/churn",
    f"postgresql://churn:{SECRET}@::1/churn",
    f"postgresql://churn:{SECRET}@[::1/churn",
    f"postgresql://churn:{SECRET}@[1::2::3]/churn",
    f"postgresql://churn:{SECRET}@one,two:2/churn",
    f"postgresql://churn:{SECRET}@127.0.0.1/churn/more",
    f"postgresql://churn:{SECRET}@127.0.0.1/churn#more",
    f"postgresql://churn:{SECRET}@127.0.0.1/churn?nooption=1",
    f"postgresql://churn:{SECRET}@127.0.0.1/churn?sslmode",
    f"postgresql://churn@127.0.0.1/churn?password={_HALVES[0]}@{_HALVES[1]}",
    f"postgresql://churn:{SECRET}@127.0.0.1/churn,postgresql://churn:{SECRET}@127.0.0.2/churn",
    f" postgresql://churn:{SECRET}@127.0.0.1/churn",
    f"postgresql://churn:{SECRET}@127.0.0.1/churn\n",
    f"postgresql+asyncpg://churn:{SECRET}@127.0.0.1/churn",
    f"mysql://churn:{SECRET}@127.0.0.1/churn",
    f"postgresql:/churn:{SECRET}@127.0.0.1/churn",
    f"churn:{SECRET}@127.0.0.1/churn",
    f"host=127.0.0.1 user=churn password={SECRET}",
    SECRET,
)

MALFORMED_HTTP = (
    *(f"http://ann:{_HALVES[0]}{character}{_HALVES[1]}@127.0.0.1:1" for character in _CHARACTERS),
    f"http://ann:{SECRET}@127.0.0.1:port",
    f"http://ann:{SECRET}@",
    f"http://ann:{SECRET}",
    f"http://ann:{SECRET}@127.0.0.1:1/?a=b",
    f"http://ann:{SECRET}@127.0.0.1:1/#a",
    f"http:/ann:{SECRET}@127.0.0.1:1",
    f"ann:{SECRET}@127.0.0.1:1",
)

MALFORMED_ALERTS = (
    SECRET,
    f"json://127.0.0.1/a,{SECRET}",
    f"json://ann:{_HALVES[0]},{_HALVES[1]}@127.0.0.1/a",
    f"json://ann:{_HALVES[0]} {_HALVES[1]}@127.0.0.1/a",
    f"json://ann:{_HALVES[0]}@{_HALVES[1]}@127.0.0.1/a",
)

MALFORMED: dict[str, tuple[str, ...]] = {
    "CHURN_POSTGRES_URL": MALFORMED_POSTGRES,
    "CHURN_ONLINE_STORE_URL": MALFORMED_POSTGRES,
    "CHURN_MLFLOW_TRACKING_URI": tuple(
        url
        for url in (*MALFORMED_POSTGRES, *MALFORMED_HTTP)
        if not any(word in url for word in ("mysql", "asyncpg", "churn?"))  # which MLflow might take
    ),
    "CHURN_DAGSTER_URL": MALFORMED_HTTP,
    "CHURN_PUBLIC_DAGSTER_URL": (*MALFORMED_HTTP, f"https://ann:{SECRET}@host"),
    "CHURN_PUBLIC_SERVING_URL": (*MALFORMED_HTTP, f"https://ann:{SECRET}@host"),
    "CHURN_ALERT_URLS": MALFORMED_ALERTS,
}
"""By setting, values that are refused."""

SOUND: dict[str, tuple[str, ...]] = {
    "CHURN_POSTGRES_URL": (
        "",
        "postgresql://churn:p0stgres@postgres:5432/churn",
        "postgres://churn@db",
        "postgresql://db/churn",
        "postgresql://churn:a%40b%2Fc%25%20d:e!$&'()*+,;=~@db-1.example_2:5432/churn?sslmode=require&connect_timeout=5",
        "postgresql://churn:x@[::1]:5432/churn",
        "postgresql://postgres:@/postgres?host=/tmp/tmp_x-1/data",
        "postgresql://churn@db/churn?password=a%40b",
    ),
    "CHURN_ONLINE_STORE_URL": ("", "sqlite:////tmp/a b?/online.db", "postgresql://churn:x@db/online"),
    "CHURN_MLFLOW_TRACKING_URI": (
        "",
        "sqlite:///mlflow.db",
        "http://mlflow:5000",
        "https://ann:a%40b@mlflow.example/path/",
        "postgresql+psycopg2://churn:a%40b@db:5432/mlflow?sslmode=require",
        "mysql+pymysql://churn:x@db/mlflow",
    ),
    "CHURN_DAGSTER_URL": ("", "http://dagster-webserver:3000", "https://ann:a%40b@dagster.example/prefix"),
    "CHURN_PUBLIC_DAGSTER_URL": ("", "https://dagster.example/"),
    "CHURN_PUBLIC_SERVING_URL": ("", "http://127.0.0.1:8000"),
    "CHURN_ALERT_URLS": (
        "",
        "json://127.0.0.1:1/closed, slack://a/b/c/#general/@ann",
        "mailto://ann:a%40b@mail.example?to=bob@mail.example tgram://123:abc/456",
    ),
}
"""By setting, values that are taken as they are."""

_ODD = "@/?#% :+&='\"\\[]{}|<>^`$!*;,~é\u2100"
PASSWORDS = tuple(f"{_HALVES[0]}{character}{_HALVES[1]}" for character in _ODD)
"""Passwords that a person may have, not encoded yet."""
PASSWORD = f"{_HALVES[0]}{_ODD}{_HALVES[1]}"
"""All of that in one."""


def left_in(text: str) -> list[str]:
    """The parts of the secret, six letters long, that a text still has."""
    parts = {SECRET[at : at + 6] for at in range(len(SECRET) - 5)}
    return sorted(part for part in parts if part in text)


def left_under(folder: Path) -> Iterator[str]:
    """The files under a folder that hold such parts."""
    for path in folder.rglob("*"):
        if path.is_file() and (found := left_in(path.read_bytes().decode("latin-1"))):
            yield f"{path.relative_to(folder)}: {found}"
