"""The instance: one `dagster.yaml` for SQLite and PostgreSQL, and a launcher that recognises dead runs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from churn_platform.assets.models import TRAINING
from churn_platform.automation.dagster_private import GRPC_INFO_TAG, WorkerStatus
from churn_platform.automation.instance import make_storage, open_instance, take_over_log
from churn_platform.automation.launcher import PROCESS_TAG, WatchedRunLauncher
from churn_platform.definitions import build_defs
from churn_platform.files.owners import own_process
from churn_platform.settings import Settings
from churn_platform_tests.dagster_private import EngineEventData


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    url = request.getfixturevalue("postgres") if request.param == "postgres" else ""
    monkeypatch.setenv("CHURN_POSTGRES_URL", url)
    return Settings(home=tmp_path)


def test_the_instance_is_as_configured(settings: Settings) -> None:
    url = settings.postgres_url.get_secret_value()
    with open_instance(settings) as instance:
        assert ("Postgres" in type(instance.run_storage).__name__) == bool(url)
        assert ("Postgres" in type(instance.event_log_storage).__name__) == bool(url)
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert instance.run_retries_max_retries == 2
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert isinstance(instance.run_coordinator, dg.QueuedRunCoordinator)
        assert isinstance(instance.run_launcher, WatchedRunLauncher)
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == settings.max_concurrent_runs == 2
        assert instance.get_concurrency_config().pool_config.default_pool_limit == 1
        run = instance.create_run_for_job(_job())
        assert instance.get_run_by_id(run.run_id) is not None
    text = (settings.dagster_home / "dagster.yaml").read_text()
    assert not url or url not in text


def test_an_earlier_versions_prediction_log_moves_to_what_serving_writes(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    before = settings.lake / "prediction_log"
    for folder, day, text in ((before, 1, "one"), (before, 2, "two"), (settings.prediction_log, 2, "later")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"2024-01-0{day}-host-7.jsonl").write_text(text)
    for _ in range(2):
        take_over_log(settings)
    assert not before.exists()
    assert {file.name[5:]: file.read_text() for file in settings.prediction_log.iterdir()} == {
        "01-01-host-7.jsonl": "one",
        "01-02-host-7.jsonl": "twolater",
    }


def test_events_are_told_and_kept(settings: Settings) -> None:
    with open_instance(settings) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("made", metadata={"at": str(settings.home)}))
        event = instance.get_latest_materialization_event(dg.AssetKey("made"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["at"].value == str(settings.home)


def _job() -> dg.JobDefinition:
    @dg.op
    def nothing() -> None: ...

    @dg.job
    def idle() -> None:
        nothing()

    return idle


def test_settings_reach_the_queue(tmp_path: Path) -> None:
    with open_instance(Settings(home=tmp_path, max_concurrent_runs=5)) as instance:
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == 5


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        ("own", WorkerStatus.RUNNING),
        ("dead", WorkerStatus.NOT_FOUND),
        ("number used again", WorkerStatus.NOT_FOUND),
        ("another host", WorkerStatus.RUNNING),
        ("another host's", WorkerStatus.RUNNING),
        ("renamed host", WorkerStatus.NOT_FOUND),
        ("none", WorkerStatus.RUNNING),
    ],
)
def test_a_run_without_its_process_is_dead(tag: str, status: WorkerStatus, tmp_path: Path) -> None:
    host, number, started, kernel = json.loads(own_process())
    code = "from churn_platform.files.owners import own_process; print(own_process())"
    tags = {
        "own": {PROCESS_TAG: own_process()},
        "number used again": {PROCESS_TAG: json.dumps([host, number, started - 1])},
        "another host": {PROCESS_TAG: json.dumps(["elsewhere", number, started - 1])},
        "another host's": {PROCESS_TAG: json.dumps(["elsewhere", number, started - 1, "another kernel"])},
        "renamed host": {PROCESS_TAG: json.dumps(["elsewhere", number, started - 1, kernel])},
        "none": {},
    }
    if tag == "dead":
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        tags["dead"] = {PROCESS_TAG: ended.strip()}
    with open_instance(Settings(home=tmp_path)) as instance:
        run = instance.create_run_for_job(_job(), tags=tags[tag])
        assert instance.run_launcher.check_run_worker_health(run).status is status


@pytest.mark.parametrize(
    ("process", "server", "status"),
    [
        ("own", "denies", WorkerStatus.RUNNING),  # as a server does that has loaded the definitions again
        ("dead", "denies", WorkerStatus.NOT_FOUND),
        ("dead", "is silent", WorkerStatus.RUNNING),  # until it is back, and can run it again
        ("number used again", "denies", WorkerStatus.NOT_FOUND),
        ("none yet", "denies", WorkerStatus.NOT_FOUND),
    ],
)
def test_a_run_lives_with_its_process(process: str, server: str, status: WorkerStatus, tmp_path: Path) -> None:
    launcher = Denied() if server == "denies" else WatchedRunLauncher()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        nobody = listener.getsockname()[1]
    with open_instance(Settings(home=tmp_path)) as instance:
        tags = {GRPC_INFO_TAG: json.dumps({"host": "127.0.0.1", "port": nobody})}
        launcher.register_instance(instance)
        run = instance.create_run_for_job(_job(), tags=tags)
        if process != "none yet":
            number = ended.pid if process == "dead" else os.getpid()
            before = 86_400 if process == "number used again" else 0
            instance.handle_new_event(started(run, number, time.time() - before))
        assert launcher.check_run_worker_health(run).status is status


class Denied(WatchedRunLauncher):
    """A launcher whose code server denies having any run that it is asked for."""

    def server_has(self, run_id: str) -> bool | None:
        return False


def started(run: dg.DagsterRun, process: int, at: float) -> dg.EventLogEntry:
    """What a code server reports when it has started a process for a run."""
    event = dg.DagsterEvent(
        dg.DagsterEventType.ENGINE_EVENT.value, run.job_name, event_specific_data=EngineEventData.in_process(process)
    )
    return dg.EventLogEntry(
        error_info=None, level="debug", user_message="", run_id=run.run_id, timestamp=at, dagster_event=event
    )


def test_the_pool_admits_one_from_the_start(settings: Settings) -> None:
    make_storage(settings)
    make_storage(settings)
    with open_instance(settings) as instance:
        limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    assert limits == {TRAINING: 1}


def test_a_run_that_trains_holds_the_pool_that_admits_one() -> None:
    job = build_defs().resolve_job_def("retrain")
    assert {node.definition.pool for node in job.nodes if isinstance(node.definition, dg.OpDefinition)} == {TRAINING}
