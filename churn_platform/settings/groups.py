"""Groups: the settings by concern, each field with its default and its meaning, and the places derived from them.

Here: names, types, defaults and meanings. Not here: those of the programs that answer over HTTP (`services`, `access`),
all of them together (the package), or their page (`__main__`).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from churn_platform.months import Month
from churn_platform.settings.kinds import (
    DeclarationFile,
    DriftReference,
    Estimator,
    FileMode,
    Folder,
    GateNames,
    LastMonthKey,
    MonthKey,
    OddityNames,
    OptionalFolder,
)
from churn_platform.settings.urls import AlertUrls, MlflowUri, OnlineStoreUrl, PostgresUrl


class Group(BaseSettings):
    """Settings of one concern; its docstring is the heading of their table in the documentation."""

    model_config = SettingsConfigDict(
        env_prefix="CHURN_", frozen=True, extra="ignore", validate_default=True, validate_by_name=True
    )


class PlaceSettings(Group):
    """The company, folders and months."""

    company: DeclarationFile = Field(
        None, description="The file that declares the company; empty for StreamFlow, the example that is shipped."
    )
    company_sha256: str = Field(
        "",
        description="The SHA-256 of that file as the platform was started with it, as `churn up` sets it: nothing is"
        " started by itself while the file is another.",
    )
    home: Folder = Field(Path(".churn"), description="Where the platform keeps everything.")
    drops: Folder = Field(Path("data/seeds"), description="The folder that monthly drops are delivered to.")
    tombstones: OptionalFolder = Field(
        None,
        description="The folder that remembers, as keyed hashes, who was erased; empty for one beside `CHURN_HOME` with"
        " `.erased` after its name. No backup packs it: keep a copy, since only it tells whom a drop or a backup must"
        " not bring back.",
    )
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
    def tombstones_folder(self) -> Path:
        """Where it is remembered who was erased."""
        return self.tombstones or self.home.with_name(f"{self.home.name}.erased")

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
        description="How much smaller than last month's the number of customers may be, as a share, before it is odd."
        " Where who is gone counts as having left, a month with a larger share of last month's customers gone stops.",
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
    warn_only: GateNames = Field(
        "",
        description="Which gates only warn instead of stopping a promotion, separated by commas: `looks` (a win that"
        " may be luck), `implausible_jump`, `lone_feature` and `telling_gaps` (a feature that carries the label may be"
        " why), `calibration` (a Brier score worse by more than 0.01), `worst_segment` (a group's AUC below the"
        " champion's by more than 0.05).",
    )
    git_commit: str = Field(
        "",
        validation_alias="GIT_COMMIT",
        description="The commit of the running code, for MLflow; images set it. Empty for the checkout's.",
    )

    @property
    def warning_gates(self) -> frozenset[str]:
        """The gates that only warn."""
        return frozenset(self.warn_only.replace(",", " ").split())


class DeliverySettings(Group):
    """Delivering scores."""

    explained_customers: int = Field(
        1000,
        ge=0,
        le=10_000,
        description="How many customers' scores come with reasons when a month is closed, the riskiest first. For any"
        " other customer, use `churn predict --reasons` or `POST /explain`.",
    )


class MonitoringSettings(Group):
    """Drift, performance and retraining."""

    drift_reference: DriftReference = Field(
        "champion",
        description="What a month is compared with for drift: the months that the `champion` was trained on, or the"
        " `previous` month.",
    )
    drift_threshold: float = Field(
        0.02,
        ge=0,
        le=1,
        description="The share of drifted feature columns at which a month counts as drifted. With fewer than"
        " 50 columns, 0.02 means any one of them.",
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
        return own or platform or f"sqlite:///{self.embedded_store}"

    @property
    def embedded_store(self) -> Path:
        """Where the online store is if it is embedded."""
        return self.home / "online_store.db"
