"""The compose file and what it mounts: nothing in it is wrong that can be known without a container engine."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from churn_platform.settings import Settings, variable
from churn_platform_tests import compose
from churn_platform_tests.compose import ROOT
from serving.metrics import Metrics

SECRETS = {"POSTGRES_PASSWORD": "p0stgres", "GRAFANA_PASSWORD": "gr4fana"}
OURS = {"mlflow", "storage", "code-server", "dagster-webserver", "dagster-daemon", "serving"}
OTHERS = {"postgres", "prometheus", "grafana", "uptime-kuma"}
WRITES_HOME = {"storage", "code-server", "serving"}
UNSET = {  # by compose: each has a meaning only where the platform runs as one program on one machine
    "CHURN_DAGSTER_PORT", "CHURN_CODE_SERVER_PORT", "CHURN_MLFLOW_PORT",
}  # fmt: skip
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/serving.json").read_text())
PROVISIONING = ROOT / "deploy/grafana/provisioning"


@pytest.fixture(scope="module")
def services() -> compose.Services:
    return compose.services(SECRETS)


def each(names: set[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", sorted(names))


def test_it_keeps_the_specification() -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(compose.FILE)]
    done = subprocess.run(checker, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_key_that_is_there_twice_is_seen() -> None:
    with pytest.raises(yaml.YAMLError, match="twice in one mapping: image"):
        compose.strictly("a: {image: b, image: c}")


def test_it_holds_these_services(services: compose.Services) -> None:
    assert services.keys() == OURS | OTHERS
    assert {name for name, service in services.items() if "build" in service} == OURS


@each(OURS | OTHERS)
def test_every_image_has_a_version(name: str, services: compose.Services) -> None:
    image, _, tag = services[name]["image"].rpartition(":")
    assert image
    assert tag == "local" if name in OURS else re.fullmatch(r"v?\d+(\.\d+)+(-[a-z]+)?", tag)


@each(OURS | OTHERS)
def test_everything_is_watched_and_comes_back(name: str, services: compose.Services) -> None:
    service = services[name]
    once = name == "storage"
    assert service["restart"] == ("no" if once else "unless-stopped")
    assert ("healthcheck" in service) is not once
    assert once or service["healthcheck"]["test"][0] == "CMD"
    for other, how in service.get("depends_on", {}).items():
        wanted = "service_completed_successfully" if other == "storage" else "service_healthy"
        assert how == {"condition": wanted}
    assert service["logging"] == {"driver": "local"}


@each(OURS | {"prometheus", "grafana"})
def test_programs_may_do_little(name: str, services: compose.Services) -> None:
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert "user" not in service  # the image's own, which is not root


def test_ports_are_of_this_machine_alone(services: compose.Services) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {
        "postgres": ["127.0.0.1:5432:5432"],
        "mlflow": ["127.0.0.1:5000:5000"],
        "dagster-webserver": ["127.0.0.1:3000:3000"],
        "serving": ["127.0.0.1:8000:8000"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3001:3000"],
        "uptime-kuma": ["127.0.0.1:3002:3001"],
    }


def test_volumes_are_there_and_used(services: compose.Services) -> None:
    mounted = {source for service in services.values() for source, _ in compose.volumes(service).values()}
    files = {source for source in mounted if source.startswith("./")}
    assert mounted - files == set(compose.parsed()["volumes"])
    assert [source for source in files if not (ROOT / source).exists()] == []


@each(OURS | OTHERS)
def test_what_is_only_read_cannot_be_written(name: str, services: compose.Services) -> None:
    for target, (source, read_only) in compose.volumes(services[name]).items():
        writes = source == name or (name, source) in {("mlflow", "artifacts"), ("serving", "./data/seeds")}
        assert read_only is not (writes or (source == "home" and name in WRITES_HOME)), target


@each(OURS)
def test_modules_and_mounted_files_of_commands_exist(name: str, services: compose.Services) -> None:
    service = services[name]
    python, option, module, *arguments = service["command"]
    assert (python, option) == ("python", "-m")
    assert importlib.util.find_spec(module)
    if "--module-name" in arguments:
        assert importlib.util.find_spec(arguments[arguments.index("--module-name") + 1])
    for path in (argument for argument in arguments if argument.startswith("/")):
        source, _ = compose.volumes(service)[path]
        assert (ROOT / source).is_file()


def test_settings_are_known_and_all_within_reach(services: compose.Services) -> None:
    known = {variable(name) for name in Settings.model_fields}
    declared = {name: set(compose.parsed()["services"][name].get("environment", {})) for name in OURS}
    reached = {setting for names in declared.values() for setting in names if setting.startswith("CHURN_")}
    assert reached == {name for name in known if name.startswith("CHURN_")} - UNSET
    for name in OURS:
        given = services[name]["environment"]
        Settings(**{k.removeprefix("CHURN_").lower(): v for k, v in given.items() if k.startswith("CHURN_")})


def test_the_example_names_every_variable_and_no_other() -> None:
    assert set(compose.example()) == compose.names_used()


def test_the_example_shows_the_defaults(services: compose.Services) -> None:
    """With the example's values, and the passwords filled in, everything is as it is without them."""
    shown = compose.example()
    assert {name for name, value in shown.items() if not value} >= SECRETS.keys()
    filled = compose.services({**shown, **SECRETS})
    settings = {variable(name): str(field.default) for name, field in Settings.model_fields.items()}
    for name, service in services.items():
        added = {k: v for k, v in filled[name]["environment"].items() if k not in service["environment"]}
        assert {**filled[name], "environment": service["environment"]} == service
        assert added == {variable: settings[variable] for variable in added}


@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_without_a_password_nothing_starts(missing: str) -> None:
    with pytest.raises(compose.UnsetError, match=missing):
        compose.services({name: value for name, value in SECRETS.items() if name != missing})


def test_passwords_come_from_outside_and_go_by_the_environment(services: compose.Services) -> None:
    for name, value in compose.example().items():
        assert not (value and ("PASSWORD" in name or "TOKEN" in name)), name
    assert set(re.findall(r"^ *\w*PASSWORD: *(.+)", compose.FILE.read_text(), re.M)) == {
        "${POSTGRES_PASSWORD:?set it in .env}",
        "${GRAFANA_PASSWORD:?set it in .env}",
    }
    assert not re.search(r"://\w+:(?!\$\{POSTGRES_PASSWORD:\?)[^/\s]*@", compose.FILE.read_text())
    for service in services.values():
        words = [*service.get("command", []), *service.get("healthcheck", {}).get("test", [])]
        assert not [word for word in words if any(secret in word for secret in SECRETS.values())]
    assert ".env" in (ROOT / ".gitignore").read_text().split()


def test_links_lead_to_where_people_are(tmp_path: Path) -> None:
    given = compose.services({**SECRETS, "CHURN_DAGSTER_PORT": "3100", "CHURN_SERVING_PORT": "8100"})
    for name in ("code-server", "serving"):
        variables = given[name]["environment"]
        assert variables["CHURN_PUBLIC_DAGSTER_URL"] == "http://127.0.0.1:3100"
    settings = Settings(
        home=tmp_path,
        dagster_url="http://dagster-webserver:3000",
        public_dagster_url="https://dagster.example/",
        public_serving_url=given["code-server"]["environment"]["CHURN_PUBLIC_SERVING_URL"],
    )
    assert settings.run_url("1") == "https://dagster.example/runs/1"
    assert settings.page_url(settings.reports / "a.html") == "http://127.0.0.1:8100/reports/a.html"


def test_services_call_each_other_by_name_and_port(services: compose.Services) -> None:
    """Who is called listens there: on the port of its health check, on all addresses of its container."""
    said = yaml.safe_dump([service.get("environment") for service in services.values()])
    said += (ROOT / "deploy/prometheus.yml").read_text() + (PROVISIONING / "datasources/prometheus.yml").read_text()
    called = set(re.findall(r"(?:@|//|\")([a-z-]+):(\d+)", said))
    assert {name for name, _ in called} == {"postgres", "mlflow", "dagster-webserver", "serving", "prometheus"}
    for name, port in called - {("postgres", "5432")}:  # its image's own
        assert f":{port}" in " ".join(services[name]["healthcheck"]["test"])
        if name in OURS:
            assert {port, "0.0.0.0"} <= set(services[name]["environment"].values())


# The images


def test_no_lock_of_serving_holds_what_trains() -> None:
    heavy = {"dagster", "pandas", "scikit-learn", "mlflow", "duckdb", "ibis-framework", "great-expectations", "pyarrow"}
    names = {lock: set(re.findall(r"^([a-z0-9-]+)(?=[\[=])", (ROOT / lock).read_text(), re.M)) for lock in _locks()}
    assert heavy <= names["requirements.lock"]
    assert not heavy & names["requirements-serving.lock"]
    assert names["deploy/requirements-build.lock"] >= {"uv", "hatchling"}


def _locks() -> list[str]:
    return re.findall(r"COPY (\S+\.lock)", (ROOT / "deploy/Dockerfile").read_text())


def test_images_hold_only_the_runtime() -> None:
    """The last stage of each target brings the environment from its build stage, and runs as the fixed user."""
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", _dockerfile(), re.M | re.S))
    targets = {service["build"]["target"] for service in compose.services(SECRETS).values() if "build" in service}
    assert targets == {"platform", "serving"}
    for target in targets:
        assert stages[target].startswith(f"COPY --from=build-{target} /opt/venv /opt/venv\n")
        assert "RUN" not in stages[target]
        assert "USER 10001:10001" in stages[target]
        assert "--require-hashes --compile-bytecode" in stages[f"build-{target}"]
    assert "requirements-serving.lock" in stages["build-serving"]


def _dockerfile() -> str:
    return (ROOT / "deploy/Dockerfile").read_text()


def test_what_images_are_built_from_reaches_the_engine() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {word for words in re.findall(r"^COPY (?!--from)(.+) \S+$", _dockerfile(), re.M) for word in words.split()}
    assert "*" in lines
    assert copied == allowed
    assert [name for name in copied if not (ROOT / name).exists()] == []


# Monitoring


def queries() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_the_dashboard_shows_what_serving_tells() -> None:
    metrics = Metrics()
    metrics.answered("POST", "/predict", 200, 0.001)
    metrics.predictions.labels("1", "stay").inc()
    told = set(re.findall(r"^([a-z_]+)[{ ]", metrics.text().decode(), re.M))
    asked = {name for query in queries() for name in re.findall(r"\b((?:churn|process)_[a-z_]+)", query)}
    assert asked <= told
    assert {"churn_champion_version", "churn_champion_age_seconds", "churn_features_age_seconds"} <= asked
    assert {"churn_request_seconds_count", "churn_request_seconds_bucket", "churn_predictions_total"} <= asked


def test_the_dashboard_is_provisioned() -> None:
    (source,) = compose.strictly((PROVISIONING / "datasources/prometheus.yml").read_text())["datasources"]
    used = {thing["datasource"]["uid"] for panel in DASHBOARD["panels"] for thing in (panel, *panel["targets"])}
    assert used == {source["uid"]}
    (provider,) = compose.strictly((PROVISIONING / "dashboards/files.yml").read_text())["providers"]
    mounted = compose.volumes(compose.services(SECRETS)["grafana"])
    assert mounted[provider["options"]["path"]] == ("./deploy/grafana/dashboards", True)
    jobs = {job["job_name"]: job for job in _scrapes()}
    assert {job for query in queries() for job in re.findall(r'job="(\w+)"', query)} == {"serving"} <= jobs.keys()


def _scrapes() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = compose.strictly((ROOT / "deploy/prometheus.yml").read_text())["scrape_configs"]
    return found


def test_a_panel_has_a_place_of_its_own() -> None:
    cells: list[tuple[int, int]] = []
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells += [(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
