"""Metrics: what Prometheus reads.

Here: the metrics' names and meanings. Not here: the moments at which they change. Each app has a registry of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from churn_platform.months import Month

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0)


class Metrics:
    """The app's metrics."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.latency = Histogram(
            "churn_request_seconds",
            "Requests, and the time from their arrival to the end of the answer.",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.ended_connections = Counter(
            "churn_connections_ended",
            "Connections that ran into a limit before a request.",
            ["reason"],
            registry=registry,
        )
        self.predictions = Counter(
            "churn_predictions", "Predictions answered.", ["model_version", "prediction"], registry=registry
        )
        self.champion_version = Gauge(
            "churn_champion_version", "The version that serves; 0 for none.", registry=registry
        )
        self.champion_age = Gauge(
            "churn_champion_age_seconds",
            "Time since the end of the newest month that the serving version was trained on.",
            registry=registry,
        )
        self.refused_reloads = Counter(
            "churn_refused_reloads", "Versions that failed their checks and do not serve.", registry=registry
        )
        self.features_age = Gauge(
            "churn_features_age_seconds", "Time since the end of the day that the features describe.", registry=registry
        )
        self.customers = Gauge("churn_features_customers", "Customers in the online store.", registry=registry)
        self.lost_log_rows = Counter(
            "churn_prediction_log_lost", "Predictions that were answered but not logged.", registry=registry
        )
        self._children: dict[tuple[str, str, int], Histogram] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (method, route, status)
        child = self._children.get(key)
        if child is None:  # looking a child up by its labels costs more than counting
            child = self._children[key] = self.latency.labels(method, route, str(status))
        child.observe(seconds)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


def age(month: str | None) -> float:
    """The seconds since a month's end, UTC; NaN for no month."""
    if month is None:
        return float("nan")
    last_day = Month.parse(month).as_of
    end = datetime(last_day.year, last_day.month, last_day.day, tzinfo=UTC) + timedelta(days=1)
    return (datetime.now(UTC) - end).total_seconds()
