"""The compose file and what it mounts: whatever can be checked without a container engine is right."""

from __future__ import annotations

import importlib.util
import json
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from check_jsonschema import main as check_jsonschema
from click.testing import CliRunner

from churn_platform.settings import Settings, variable
from churn_platform.web import tracking
from churn_platform_tests import compose
from churn_platform_tests.compose import ROOT
from serving.metrics import Metrics

SECRETS = {
    "POSTGRES_PASSWORD": "p0stgres", "SERVING_PASSWORD": "s3rving",
    "GRAFANA_PASSWORD": "gr4fana", "CHURN_API_TOKEN": "t0ken",
}  # fmt: skip
SERVICES: dict[str, dict[str, Any]] = compose.parsed()["services"]
OURS = {name for name, service in SERVICES.items() if "build" in service}
OTHERS = SERVICES.keys() - OURS
BY_HAND = {"backup"}
"""What only people start."""
ONCE = {"storage", "serving-role", *BY_HAND}
WRITES = {
    ("storage", "home"), ("storage", "serving"),
    ("code-server", "home"), ("code-server", "serving"), ("code-server", "erased"),
    ("mlflow", "artifacts"), ("serving", "./data/seeds"),
    ("backup", "home"), ("backup", "serving"), ("backup", "artifacts"), ("backup", "erased"), ("backup", "./backups"),
}  # fmt: skip
"""Which services write to volumes that do not bear their name."""
UNSET = {  # by compose: each means something only where the platform runs as one program on one machine
    "CHURN_COMPANY_SHA256", "CHURN_DAGSTER_PORT", "CHURN_CODE_SERVER_PORT", "CHURN_MLFLOW_PORT",
}  # fmt: skip
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/serving.json").read_text())
PROVISIONING = ROOT / "deploy/grafana/provisioning"
PAGE = (ROOT / "docs/production.md").read_text()


@pytest.fixture(scope="module")
def services() -> compose.Services:
    return compose.services(SECRETS)


def each(names: set[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", sorted(names))


def test_it_keeps_the_specification() -> None:
    done = CliRunner().invoke(check_jsonschema, ["--builtin-schema", "vendor.compose-spec", str(compose.FILE)])
    assert done.exit_code == 0, done.output


def test_a_key_that_is_there_twice_is_seen() -> None:
    with pytest.raises(yaml.YAMLError, match="twice in one mapping: image"):
        compose.strictly("a: {image: b, image: c}")


def test_its_services_are_those_that_the_page_tells() -> None:
    told = table("## What runs")
    assert {name for names, *_ in told for name in re.findall(r"`(.+?)`", names)} == SERVICES.keys()
    images = {name: image.partition(":")[0] for names, _, image in told for name in re.findall(r"`(.+?)`", names)}
    for name in OURS:
        assert SERVICES[name]["build"]["target"] == images[name]


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading of the page about production, row by row, without the header."""
    lines = PAGE.partition(heading)[2].partition("\n|")[2].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@each(OURS | OTHERS)
def test_every_image_has_a_version(name: str, services: compose.Services) -> None:
    image, _, tag = services[name]["image"].rpartition(":")
    assert image
    assert tag == "local" if name in OURS else re.fullmatch(r"v?\d+(\.\d+)+(-[a-z]+)?", tag)


@each(OURS | OTHERS)
def test_everything_is_watched_and_comes_back(name: str, services: compose.Services) -> None:
    service = services[name]
    once = name in ONCE
    assert service["restart"] == ("no" if once else "unless-stopped")
    assert ("healthcheck" in service) is not once
    assert ("profiles" in service) is (name in BY_HAND)
    assert once or service["healthcheck"]["test"][0] == "CMD"
    for other, how in service.get("depends_on", {}).items():
        wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert how == {"condition": wanted}
    assert service["logging"] == {"driver": "local"}


@each(OURS | {"serving-role", "prometheus", "grafana"})
def test_programs_may_do_little(name: str, services: compose.Services) -> None:
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert service.get("user") == ("postgres" if name == "serving-role" else None)  # the image's own, which is not root


@each(OTHERS)
def test_others_may_do_no_more_than_hand_over_their_volumes(name: str, services: compose.Services) -> None:
    service = services[name]
    assert service["cap_drop"] == ["ALL"]
    assert set(service.get("cap_add", [])) <= {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}


def test_only_dagsters_programs_reach_the_code_server(services: compose.Services) -> None:
    """It runs whatever it is asked to. The servers that it asks itself are reached by others too."""
    [network] = services["code-server"]["networks"]
    near = {name for name, service in services.items() if network in service["networks"]}
    assert near - {"postgres", "mlflow"} == {"code-server", "storage", "dagster-webserver", "dagster-daemon"}
    assert {network for service in services.values() for network in service["networks"]} == set(
        compose.parsed()["networks"]
    )


@each(OURS | OTHERS)
def test_whoever_is_asked_shares_a_network(name: str, services: compose.Services) -> None:
    for other in services[name].get("depends_on", {}).keys() - ONCE:
        assert set(services[name]["networks"]) & set(services[other]["networks"])


def test_ports_are_of_this_machine_alone(services: compose.Services) -> None:
    published = [port.split(":") for service in services.values() for port in service.get("ports", [])]
    assert {address for address, *_ in published} == {"127.0.0.1"}
    told = {port: variable.strip("`") for port, _, variable in table("## Start")}
    assert sorted(port for _, port, _ in published) == sorted(told)
    moved = compose.services({**SECRETS, **{variable: f"1{port}" for port, variable in told.items()}})
    ports = [port.split(":")[1] for service in moved.values() for port in service.get("ports", [])]
    assert sorted(ports) == sorted(f"1{port}" for port in told)


def test_volumes_are_there_and_used(services: compose.Services) -> None:
    mounted = {source for service in services.values() for source, _ in compose.volumes(service).values()}
    files = {source for source in mounted if source.startswith("./")}
    assert mounted - files == set(compose.parsed()["volumes"])
    assert [source for source in files - {"./backups"} if not (ROOT / source).exists()] == []  # which people make
    ignored = (ROOT / ".gitignore").read_text().split()
    assert "/backups/" in ignored
    [made] = re.findall(r"install -d -o churn -g churn (.+)", (ROOT / "deploy/Dockerfile").read_text())
    for name in OURS:  # a volume belongs to whom the image's folder does
        for target, (source, _) in compose.volumes(services[name]).items():
            assert source.startswith("./") or target in made.split(), (name, target)


@each(OURS | OTHERS)
def test_what_is_only_read_cannot_be_written(name: str, services: compose.Services) -> None:
    for target, (source, read_only) in compose.volumes(services[name]).items():
        assert read_only is not (source == name or (name, source) in WRITES), target


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


def test_a_backup_holds_every_volume_of_ours_and_both_databases(services: compose.Services) -> None:
    kept = {source for name in OURS for source, _ in compose.volumes(services[name]).values() if source[0] != "."}
    places = {source: target for target, (source, _) in compose.volumes(services["backup"]).items()}
    assert kept == {source for source in places if source[0] != "."}
    settings = Settings(home=Path("/churn"))
    wanted = {"home": settings.home, "serving": settings.serving_home, "artifacts": settings.mlflow_home / "artifacts"}
    assert {name: Path(places[name]) for name in wanted} == wanted
    given = services["backup"]["environment"]
    assert given["CHURN_MLFLOW_TRACKING_URI"] == services["mlflow"]["environment"]["MLFLOW_BACKEND_STORE_URI"]
    assert given["CHURN_POSTGRES_URL"] == services["code-server"]["environment"]["CHURN_POSTGRES_URL"]


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
    """With the example's values, and the passwords filled in, everything is as it would be without them."""
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
    for service in services.values():
        given = service["environment"]
        passwords = {value for name, value in given.items() if name.endswith("PASSWORD")}
        passwords |= {word for value in given.values() for word in re.findall(r"://\w+:([^/\s]*)@", value)}
        assert passwords <= set(SECRETS.values())
        words = [*service.get("command", []), *service.get("healthcheck", {}).get("test", [])]
        assert not [word for word in words if any(secret in word for secret in SECRETS.values())]
    assert ".env" in (ROOT / ".gitignore").read_text().split()


def test_who_is_asked_for_the_token_has_it_and_answers_to_the_name_it_is_called_by() -> None:
    given = compose.services({**SECRETS, "CHURN_ALLOWED_HOSTS": "churn.example"})
    for name in ("dagster-webserver", "mlflow", "serving"):
        assert given[name]["environment"]["CHURN_API_TOKEN"] == SECRETS["CHURN_API_TOKEN"]
        names = Settings(allowed_hosts=given[name]["environment"]["CHURN_ALLOWED_HOSTS"]).host_names
        assert names == {"127.0.0.1", "localhost", "[::1]", name, "churn.example"}
    callers = {name: service["environment"] for name, service in given.items() if name in ("code-server", "serving")}
    for environment in callers.values():
        assert environment["CHURN_MLFLOW_TRACKING_URI"] == "http://churn:t0ken@mlflow:5000"
    assert callers["serving"]["CHURN_DAGSTER_URL"] == "http://churn:t0ken@dagster-webserver:3000"
    assert "--app-name churn" in " ".join(given["mlflow"]["command"])
    assert metadata.entry_points(group="mlflow.app", name="churn")["churn"].load() is tracking.application


def test_files_are_for_their_owner_alone_unless_set(services: compose.Services) -> None:
    """Ours set it by themselves, and share a volume as one user; MLflow's own program is started with it."""
    shared = {**SECRETS, "CHURN_FILE_MODE": "640"}
    for name in ("storage", "code-server", "serving"):
        assert "CHURN_FILE_MODE" not in services[name]["environment"]
        assert compose.services(shared)[name]["environment"]["CHURN_FILE_MODE"] == "640"
    assert services["mlflow"]["entrypoint"] == ["sh", "-c", 'umask 077; exec "$$@"', "--"]
    assert {name for name in OURS if "entrypoint" in services[name]} == {"mlflow"}


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
    """A service that is called listens there: on the port of its health check, on all addresses of its container."""
    said = yaml.safe_dump([service.get("environment") for service in services.values()])
    said += (ROOT / "deploy/prometheus/prometheus.yml").read_text() + (
        PROVISIONING / "datasources/prometheus.yml"
    ).read_text()
    called = set(re.findall(r"(?:@|//|\")([a-z-]+):(\d+)", said))
    assert {"postgres", "serving"} <= {name for name, _ in called} <= services.keys()  # the file was really read
    for name, port in called - {("postgres", "5432")}:  # its image's own
        assert f":{port}" in " ".join(services[name]["healthcheck"]["test"])
        if name in OURS:
            assert {port, "0.0.0.0"} <= set(services[name]["environment"].values())


# The images


Instructions = list[tuple[str, str]]


def stages() -> dict[str, Instructions]:
    """Each stage of the Dockerfile with its instructions, preceded by those of the stages that it is built from."""
    text = re.sub(r"^#.*\n", "", (ROOT / "deploy/Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    found: dict[str, Instructions] = {}
    for line in filter(None, text.splitlines()):
        instruction, _, words = line.partition(" ")
        if instruction == "FROM":
            base, _, name = words.split()
            found[name] = [*found.get(base, []), (instruction, words)]
        elif found:  # before the first stage stands what it may be built from
            found[name].append((instruction, words))
    return found


def of(instruction: str, stage: Instructions) -> list[str]:
    return [words for name, words in stage if name == instruction]


def locks(stage: Instructions) -> set[str]:
    """The lock files that a stage is built with."""
    return {word for words in of("COPY", stage) for word in words.split() if word.endswith(".lock")}


def requirements(lock: str) -> dict[str, bool]:
    """What a lock file names, and whether by a hash."""
    found = re.findall(r"^([a-z0-9._-]+)[\[=].*\n( +--hash=)?", (ROOT / lock).read_text(), re.M)
    return {name: bool(hashed) for name, hashed in found}


def test_no_lock_of_serving_holds_what_trains() -> None:
    heavy = {"dagster", "pandas", "scikit-learn", "mlflow", "duckdb", "ibis-framework", "great-expectations", "pyarrow"}
    made = stages()
    platform, serving = (
        {name for lock in locks(made[stage]) for name in requirements(lock)}
        for stage in ("build-platform", "build-serving")
    )
    assert heavy <= platform
    assert not heavy & serving


def test_everything_in_an_image_is_named_by_a_hash() -> None:
    used = {lock for stage in stages().values() for lock in locks(stage)}
    assert used
    for lock in used:
        assert all(requirements(lock).values()), lock


@pytest.mark.parametrize("target", sorted({SERVICES[name]["build"]["target"] for name in OURS}))
def test_images_hold_only_the_runtime_and_run_as_the_fixed_user(target: str) -> None:
    made = stages()
    assert of("USER", made[target])[-1] == "10001:10001"
    base, *_ = of("FROM", made[target])[-1].split()
    own = made[target][len(made[base]) :]
    assert of("RUN", own) == []
    (copied,) = of("COPY", own)
    source, kept, place = copied.split()
    assert source.removeprefix("--from=") in made
    assert kept == place  # a virtual environment knows where it is


def test_what_images_are_built_from_reaches_the_engine() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copies = [words.split()[:-1] for stage in stages().values() for words in of("COPY", stage) if "--from" not in words]
    copied = {word for words in copies for word in words}
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
    assert asked
    assert asked <= told


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
    found: list[dict[str, Any]] = compose.strictly((ROOT / "deploy/prometheus/prometheus.yml").read_text())[
        "scrape_configs"
    ]
    return found


def test_a_panel_has_a_place_of_its_own() -> None:
    cells: list[tuple[int, int]] = []
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells += [(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
