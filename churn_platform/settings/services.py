"""Services: the settings of the programs that answer over HTTP, and where they are found.

Here: names, types, defaults and meanings. Not here: who may ask them (`access`), or the settings of
everything else (`groups`).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from churn_platform.erasure_requests import FOLDER
from churn_platform.settings.groups import PlaceSettings
from churn_platform.settings.urls import HttpUrl, PublicUrl, without_secrets


class ServingSettings(PlaceSettings):
    """Serving."""

    serving_host: str = Field("127.0.0.1", description="The address that serving listens on.")
    serving_port: int = Field(8000, ge=0, le=65535, description="The port that serving listens on.")
    serving_poll_seconds: float = Field(
        2.0, gt=0, description="How often serving looks for a new champion and new features."
    )
    serving_timeout_seconds: float = Field(
        1.0,
        gt=0,
        description="How many seconds serving waits for an answer of the registry, or of the online store; for all of a"
        " new champion's files, ten times as long.",
    )
    serving_max_body_bytes: int = Field(
        100_000, gt=0, description="The largest request body that serving reads; larger ones are answered with 413."
    )
    serving_client_seconds: float = Field(
        10.0,
        gt=0,
        description="How many seconds a client may take to send a request, or to take an answer, before serving ends"
        " the connection.",
    )
    serving_connections: int = Field(
        500,
        ge=1,
        description="The most connections that serving keeps open; a further one takes the place of the one that has"
        " waited longest, of the address that has the most. Each needs an open file of the process (`ulimit -n`).",
    )
    serving_rate_limit: int = Field(
        0, ge=0, description="The most requests per second that serving answers from one address; 0 for no limit."
    )
    serving_change_limit: int = Field(
        10,
        ge=1,
        description="The most calls to `/generate`, `/retrain` and `/erasures` per minute from one client address, and"
        " the most with a wrong token.",
    )
    serving_remembered_scores: int = Field(
        8192, ge=0, description="How many scores of unchanged rows serving remembers, at about 2 kB each."
    )
    require_receipt: bool = Field(
        True,
        description="Whether serving stays with the last version that a receipt made champion if somebody moves the"
        " registry's alias to another one without a receipt. Where there are no receipts, the alias counts.",
    )
    prediction_log_rows: int = Field(
        20_000, ge=1, description="How many predictions may wait in memory to be logged; any more are not logged."
    )
    prediction_log_days: int = Field(
        365, ge=1, le=36_500, description="How many days after its day a file of the prediction log is removed."
    )

    @property
    def serving_home(self) -> Path:
        """All that serving writes in the home: its copies of bundles, and the prediction log."""
        return self.home / "serving"

    @property
    def erasure_requests(self) -> Path:
        """Whom to erase, until that is done."""
        return self.serving_home / FOLDER

    @property
    def prediction_log(self) -> Path:
        """What serving has answered, as newline-delimited JSON."""
        return self.serving_home / "prediction_log"


class AddressSettings(ServingSettings):
    """Addresses of the other programs."""

    dagster_port: int = Field(3000, ge=0, le=65535, description="The port of the Dagster UI.")
    code_server_port: int = Field(
        4000, ge=0, le=65535, description="The port of the code server, which the Dagster UI and daemon ask."
    )
    mlflow_port: int = Field(5000, ge=0, le=65535, description="The port of the MLflow UI.")
    dagster_url: HttpUrl = Field(
        SecretStr(""), description="Where serving reaches Dagster; empty for the Dagster UI's port on this machine."
    )
    public_dagster_url: PublicUrl = Field(
        "", description="Where people reach the Dagster UI, for links to runs; empty for where serving reaches it."
    )
    public_serving_url: PublicUrl = Field(
        "", description="Where people reach serving, for links to reports; empty for its address and port."
    )

    @property
    def dagster_api(self) -> str:
        """Where serving reaches Dagster, without a trailing slash."""
        return self.dagster_url.get_secret_value().rstrip("/") or f"http://127.0.0.1:{self.dagster_port}"

    @property
    def serving_api(self) -> str:
        """Where programs of this machine reach serving, without a trailing slash."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.serving_host, self.serving_host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.serving_port}"

    def run_url(self, run_id: str) -> str:
        """Where the Dagster UI shows a run."""
        return f"{self.public_dagster_url.rstrip('/') or without_secrets(self.dagster_api)}/runs/{run_id}"

    def page_url(self, page: Path) -> str:
        """Where serving shows a page of `reports`; browsers open no files that the Dagster UI links to."""
        serving = self.public_serving_url.rstrip("/") or self.serving_api
        return f"{serving}/reports/{page.relative_to(self.reports).as_posix()}"
