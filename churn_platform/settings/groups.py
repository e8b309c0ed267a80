"""Groups: the settings by concern, each field with its default and its meaning, and the places derived from them.

Here: names, types, defaults and meanings. Not here: all of them together (the package), or their page (`__main__`).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from churn_platform.months import Month
from churn_platform.settings.kinds import (
    DriftReference,
    Estimator,
    FileMode,
    Folder,
    LastMonthKey,
    MonthKey,
    OddityNames,
)
from churn_platform.settings.urls import AlertUrls, HttpUrl, MlflowUri, OnlineStoreUrl, PostgresUrl, PublicUrl, shown


class Group(BaseSettings):
    """Settings of one concern; its docstring is the heading of their table in the documentation."""

    model_config = SettingsConfigDict(
        env_prefix="CHURN_", frozen=True, extra="ignore", validate_default=True, validate_by_name=True
    )


class PlaceSettings(Group):
    """Folders and months."""

    home: Folder = Field(Path(".churn"), description="Where the platform keeps everything.")
    drops: Folder = Field(Path("data/seeds"), description="The folder that monthly drops are delivered to.")
    file_mode: FileMode = Field(
        "600",
        description="Who may read what is kept there: `600` for its owner alone, `640` for its group too.",
    )
    first_month: MonthKey = Field("2024-01", description="The month of the drop `month_000`, and the first partition.")
    last_month: LastMonthKey = Field(
        "",
        description="The last month that Dagster offers: empty for the last one that has ended, `delivered` for the"
        " newest one that has a drop, as `churn up` sets it.",
    )

    @cached_property
    def first(self) -> Month:
        """The first month, parsed."""
        return Month.parse(self.first_month)

    @property
    def lake(self) -> Path:
        """The lake: one Parquet file per table and month."""
        return self.home / "lake"

    @property
    def reports(self) -> Path:
        """The monitoring pages: Evidently's, as HTML and JSON."""
        return self.home / "reports"

    @property
    def data_docs(self) -> Path:
        """Great Expectations' pages."""
        return self.reports / "data_docs"

    @property
    def exports(self) -> Path:
        """Files for other systems: the month's scores as CSV."""
        return self.home / "exports"

    @property
    def logs(self) -> Path:
        """What the platform's programs print."""
        return self.home / "logs"


class LandingSettings(Group):
    """Taking drops in."""

    quarantine_tolerance: float = Field(
        0.01, ge=0, le=1, description="The share of a table's rows that may be quarantined before its month stops."
    )
    absence_tolerance: float = Field(
        0.05,
        ge=0,
        le=1,
        description="The share of a month's customers that may have no row in a table before the month stops."
        " They are unknown there. A table in which a missing row means zero is not counted.",
    )
    fewer_customers: float = Field(
        0.2,
        ge=0,
        le=1,
        description="How much smaller than last month's the number of customers may be, as a share, before it is odd.",
    )
    labelled_share: float = Field(
        0.5, ge=0, le=1, description="The share of a month's customers below which its labels are oddly few."
    )
    stop_on: OddityNames = Field(
        "",
        description="Which oddities stop a month instead of only being told, separated by commas: `fewer_customers`,"
        " `repeated_month` (the rows of the month before), `few_labels`, `equal_labels` (all churned, or none).",
    )
    settle_seconds: float = Field(
        10.0, ge=0, description="How many seconds a drop must have been unchanged before it is taken in."
    )

    @property
    def stopping(self) -> frozenset[str]:
        """The oddities that stop a month."""
        return frozenset(self.stop_on.replace(",", " ").split())


class ModelSettings(Group):
    """Training and promotion."""

    estimator: Estimator = Field(
        "blend",
        description="What candidates are trained with: `hist_gradient_boosting`, `random_forest`,"
        " `logistic_regression`, or the `blend` of the first and the last.",
    )
    seed: int = Field(7, description="The seed of everything that is random in training.")
    min_training_customers: int = Field(
        200, ge=2, description="The fewest labelled customers that a candidate is trained on."
    )
    delta: float = Field(
        0.01, ge=0, description="How much a candidate's AUC must exceed the champion's to be promoted."
    )
    git_commit: str = Field(
        "",
        validation_alias="GIT_COMMIT",
        description="The commit of the running code, for MLflow; images set it. Empty for the checkout's.",
    )


class MonitoringSettings(Group):
    """Drift, performance and retraining."""

    drift_reference: DriftReference = Field(
        "champion",
        description="What a month is compared with for drift: the months that the `champion` was trained on, or the"
        " `previous` month.",
    )
    drift_threshold: float = Field(
        0.02, ge=0, le=1, description="The share of drifted feature columns at which a month counts as drifted."
    )
    realised_margin: float = Field(
        0.03, ge=0, description="How far the champion's realised AUC may fall below the promised one before retraining."
    )
    retrain_cooldown_months: int = Field(
        1, ge=1, description="How many months apart the months of two retrainings started by sensors must be, at least."
    )


class AutomationSettings(Group):
    """Sensors, runs and alerts."""

    sensor_seconds: int = Field(
        15, ge=1, description="How many seconds Dagster's daemon waits before it asks a sensor again."
    )
    max_concurrent_runs: int = Field(2, ge=1, description="How many Dagster runs may be under way at once.")
    features_due_days: int = Field(
        10, ge=0, description="How many days after a month's end its features are overdue, and an alert says so."
    )
    alert_urls: AlertUrls = Field(
        SecretStr(""), description="Where alerts go: Apprise URLs, separated by commas or spaces; empty for nowhere."
    )


class StoreSettings(PlaceSettings):
    """Databases and the registry."""

    mlflow_tracking_uri: MlflowUri = Field(
        SecretStr(""),
        description="The MLflow store: a tracking server, `http://host:5000`, or a database; empty for SQLite and files"
        " under `CHURN_HOME`.",
    )
    postgres_url: PostgresUrl = Field(
        SecretStr(""),
        description="A `postgresql://` URL of the platform's PostgreSQL, for Dagster's storage, the receipts, the"
        " published tables and the online store; empty for SQLite and files under `CHURN_HOME`.",
    )
    online_store_url: OnlineStoreUrl = Field(
        SecretStr(""),
        description="A `postgresql://` URL of the online store; empty for `CHURN_POSTGRES_URL`, and without that for"
        " SQLite under `CHURN_HOME`.",
    )

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance."""
        return self.home / "dagster"

    @property
    def mlflow_home(self) -> Path:
        """The embedded MLflow store: `mlflow.db` and `artifacts/`."""
        return self.home / "mlflow"

    @property
    def mlflow_uri(self) -> str:
        """The MLflow store's URI, embedded unless set."""
        return self.mlflow_tracking_uri.get_secret_value() or f"sqlite:///{self.mlflow_home / 'mlflow.db'}"

    @property
    def online_store(self) -> str:
        """The online store's URL: its own, the platform's PostgreSQL, or embedded."""
        own, platform = self.online_store_url.get_secret_value(), self.postgres_url.get_secret_value()
        return own or platform or f"sqlite:///{self.home / 'online_store.db'}"


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
    serving_rate_limit: int = Field(
        0, ge=0, description="The most requests per second that serving answers from one address; 0 for no limit."
    )
    serving_change_limit: int = Field(
        10, ge=1, description="The most calls to `/generate` and `/retrain` per minute from one client address."
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
    api_token: SecretStr = Field(
        SecretStr(""),
        description="The bearer token of `/generate` and `/retrain`; empty for one made under `CHURN_HOME`.",
    )

    @property
    def serving_home(self) -> Path:
        """What serving keeps: its copies of bundles."""
        return self.home / "serving"

    @property
    def prediction_log(self) -> Path:
        """What serving has answered, as newline-delimited JSON."""
        return self.lake / "prediction_log"


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

    def run_url(self, run_id: str) -> str:
        """Where the Dagster UI shows a run."""
        return f"{self.public_dagster_url.rstrip('/') or shown(self.dagster_api)}/runs/{run_id}"

    def page_url(self, page: Path) -> str:
        """Where serving shows a page of `reports`; browsers open no files that the Dagster UI links to."""
        serving = self.public_serving_url.rstrip("/") or f"http://{self.serving_host}:{self.serving_port}"
        return f"{serving}/reports/{page.relative_to(self.reports).as_posix()}"
