"""Backups of a platform on PostgreSQL: its own program, pg_dump, says the same of the databases before and after."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from mlflow import MlflowClient
from pydantic import SecretStr

from churn_platform.automation.instance import make_storage
from churn_platform.backup.databases import opened
from churn_platform.champion.registry import EXPERIMENT
from churn_platform.home import Home
from churn_platform.tables import published
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.postgres import pg_dump
from churn_platform_tests.published_cases import JANUARY, ask, empty_database, execute
from churn_platform_tests.streamflow import CATALOG

VARIABLES = {"platform": "CHURN_POSTGRES_URL", "mlflow": "CHURN_MLFLOW_TRACKING_URI"}


@pytest.fixture
def before(postgres: str) -> Iterator[dict[str, str]]:
    """The URLs of two empty databases."""
    with empty_database(postgres) as platform, empty_database(postgres) as mlflow:
        yield {"platform": platform, "mlflow": mlflow}


@pytest.fixture
def after(postgres: str) -> Iterator[dict[str, str]]:
    """The URLs of two more."""
    with empty_database(postgres) as platform, empty_database(postgres) as mlflow:
        yield {"platform": platform, "mlflow": mlflow}


def use(databases: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, url in databases.items():
        monkeypatch.setenv(VARIABLES[name], url)


def test_all_of_them_come_back(
    trained: Platform, before: dict[str, str], after: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(before, monkeypatch)
    platform = trained.copy(tmp_path)
    urls = {"postgres_url": SecretStr(before["platform"]), "mlflow_tracking_uri": SecretStr(before["mlflow"])}
    settings = platform.settings.model_copy(update=urls)
    home = Home(settings)
    home.make_tables()
    make_storage(settings)
    place = f"{settings.home}/mlflow/artifacts"
    MlflowClient(before["mlflow"]).create_experiment(EXPERIMENT, place)
    for table in CATALOG:
        if home.lake.has(table.source, JANUARY):
            published.publish(before["platform"], home.lake, table, JANUARY)
    execute(
        before["platform"],
        'CREATE TABLE "An analyst\'s" (id serial PRIMARY KEY, "what % of" text, at timestamptz DEFAULT now())',
        "INSERT INTO \"An analyst's\" (\"what % of\") VALUES (E'tab\\t, new\\nline, \\\\ and é'), (NULL), ('')",
    )
    assert place in dumped(before["mlflow"])

    file, moved = tmp_path / "one.tar", tmp_path / "elsewhere"
    done = platform.churn("backup", str(file))
    assert (done.exit_code, "2 databases" in " ".join(done.stdout.split())) == (0, True), done.output

    use(after, monkeypatch)
    monkeypatch.delenv("CHURN_POSTGRES_URL")
    restored = Platform(settings.model_copy(update={"home": moved}))
    refused = restored.churn("restore", str(file))
    assert (refused.exit_code, "set CHURN_POSTGRES_URL" in " ".join(refused.output.split())) == (1, True)
    use(before, monkeypatch)
    refused = restored.churn("restore", str(file))
    assert (refused.exit_code, "has tables already" in " ".join(refused.output.split())) == (1, True)
    assert not list(moved.rglob("*"))

    use(after, monkeypatch)
    done = restored.churn("restore", str(file))
    assert done.exit_code == 0, done.output
    assert dumped(after["platform"]) == dumped(before["platform"])
    assert dumped(after["mlflow"]) == dumped(before["mlflow"]).replace(place, f"{moved}/mlflow/artifacts")
    execute(after["platform"], 'INSERT INTO "An analyst\'s" DEFAULT VALUES')  # its numbers go on
    assert ask(after["platform"], 'SELECT max(id) FROM "An analyst\'s"') == [(4,)]


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE TYPE mood AS ENUM ('sad', 'happy')", "CREATE TABLE more (id int PRIMARY KEY, mood mood)"),
        ("CREATE TABLE more (id int PRIMARY KEY, other serial)",),
        (
            "CREATE FUNCTION right_(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true'",
            "CREATE TABLE more (id int PRIMARY KEY CHECK (right_(id)))",
        ),
        ("CREATE TABLE more (id int PRIMARY KEY, during int4range, EXCLUDE USING gist (during WITH &&))",),
        (
            "CREATE TABLE more (id int PRIMARY KEY)",
            "CREATE TABLE others (id int PRIMARY KEY REFERENCES more)",
            "ALTER TABLE more ADD FOREIGN KEY (id) REFERENCES others",
        ),
        (
            "CREATE TABLE more (id int, PRIMARY KEY (id)) PARTITION BY LIST (id)",
            "CREATE TABLE o (id int REFERENCES more)",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_what_could_not_be_restored_is_no_backup(
    statements: tuple[str, ...],
    before: dict[str, str],
    begun: Platform,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    execute(before["platform"], *statements)
    Home(begun.settings.model_copy(update={"postgres_url": SecretStr(before["platform"])})).make_tables()
    monkeypatch.setenv(VARIABLES["platform"], before["platform"])
    refused = begun.copy(tmp_path).churn("backup", str(tmp_path / "one.tar"))
    assert refused.exit_code == 1, refused.output
    assert "(platform)" in refused.output
    assert not (tmp_path / "one.tar").exists()
    assert ask(before["platform"], "SELECT FROM pg_namespace WHERE nspname = 'churn_backup_trial'") == []


def test_what_is_left_out_is_told(
    before: dict[str, str], begun: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = begun.settings.model_copy(update={"postgres_url": SecretStr(before["platform"])})
    Home(settings).make_tables()
    features = next(table for table in CATALOG if table.name == "features")
    published.publish(before["platform"], begun.home.lake, features, JANUARY)
    role = f"ann_{os.getpid()}"
    execute(before["platform"], "CREATE SCHEMA marts", "CREATE VIEW hers AS SELECT 1", f"CREATE ROLE {role}")
    execute(before["platform"], f"GRANT SELECT ON features TO {role}")
    monkeypatch.setenv(VARIABLES["platform"], before["platform"])
    monkeypatch.setenv("CHURN_ONLINE_STORE_URL", before["platform"] + "&application_name=another")
    done = begun.copy(tmp_path).churn("backup", str(tmp_path / "one.tar"))
    execute(before["platform"], f"DROP OWNED BY {role}", f"DROP ROLE {role}")
    assert (done.exit_code, "1 database " in done.output) == (0, True), done.output
    assert f"these are not in it: hers, the schema marts, what {role} may do" in " ".join(done.output.split())


def test_a_registry_in_a_database_keeps_its_models_in_the_home(before: dict[str, str], tmp_path: Path) -> None:
    settings = homes.settings_of(tmp_path, mlflow_tracking_uri=SecretStr(before["mlflow"]))
    client = Home(settings).registry.client
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    assert experiment.artifact_location == (settings.mlflow_home / "artifacts").as_uri()


def test_a_table_that_is_emptied_and_filled_again_is_never_empty(before: dict[str, str], tmp_path: Path) -> None:
    execute(before["platform"], "CREATE TABLE more (id int)", "INSERT INTO more SELECT generate_series(1, 100)")
    with opened(before) as [database, _], psycopg.connect(before["platform"]) as other:
        other.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):  # it waits until the backup is made
            other.execute("TRUNCATE more")
        database.write(tmp_path / "rows")
    assert len((tmp_path / "rows/rows/1").read_text().splitlines()) == 100


def test_a_tables_name_names_no_file(before: dict[str, str], after: dict[str, str], tmp_path: Path) -> None:
    name = "../../outside/a"
    execute(before["platform"], f'CREATE TABLE "{name}" (id int)', f'INSERT INTO "{name}" VALUES (7)')
    with opened(before) as [database, _]:
        database.write(tmp_path / "some/where")
    assert sorted(path.name for path in (tmp_path / "some/where").rglob("*")) == ["1", "rows", "schema.json"]
    with opened(after) as [database, _]:
        database.read(tmp_path / "some/where")
        database.commit()
    assert ask(after["platform"], f'SELECT id FROM "{name}"') == [(7,)]


def dumped(url: str) -> str:
    """What pg_dump says of a database, but for when months were published, and PostgreSQL's rewriting of conditions."""
    program = pg_dump()
    environment = {**os.environ, "LD_LIBRARY_PATH": str(program.parents[1] / "lib")}
    done = subprocess.run(
        [program, "--no-owner", "--rows-per-insert=1", "--dbname", url],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [re.sub(r"CHECK .*|CONSTRAINT \w+ (?=NOT NULL)", "", line) for line in done.stdout.splitlines()]
    months = sorted(re.sub(r"'[^']*'\);$", "", line) for line in lines if "INTO public.published_months" in line)
    others = [line for line in lines if "INTO public.published_months" not in line and "restrict " not in line]
    return "\n".join([*others, *months])
