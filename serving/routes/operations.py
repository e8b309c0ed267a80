"""Operations: is it alive, is it ready, what does it serve, what does Prometheus read."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version

from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler

from serving.champion import Champions
from serving.features import OnlineFeatures
from serving.messages import Health, Model, Ready
from serving.metrics import Metrics
from serving.predictor import Predictor, not_ready
from serving.problems import documented

VERSION = version("churn-platform")

_TAGS = ["operations"]


def routes(
    champions: Champions, features: OnlineFeatures, predictor: Predictor, metrics: Metrics
) -> list[HTTPRouteHandler]:
    """The handlers, around these parts."""

    @get("/health", summary="Is the process alive?", tags=_TAGS, responses=documented())
    async def health() -> Health:
        """200 while it is, whatever else is wrong."""
        return Health("ok", datetime.now(UTC), VERSION)

    @get("/ready", summary="Are predictions answered?", tags=_TAGS, responses=documented(503))
    async def ready() -> Ready:
        """200 when champion and features are loaded, otherwise 503 with what is missing."""
        champion, publication = champions.current, features.publication
        if champion is None or publication is None or features.problem is not None:
            raise not_ready(champions.problem if champion is None else None, features.problem)
        if found := champion.unscorable(publication.schema):
            raise not_ready(f"features: {found.why}")
        return Ready("ready", champion.version, publication.as_of, publication.customers, champions.warnings)

    @get("/model", summary="The champion", tags=_TAGS, responses=documented(503))
    async def model() -> Model:
        """Which version serves, what it was trained on, and how good it was."""
        champion = predictor.champion()
        manifest = champion.bundle.manifest
        return Model(
            version=champion.version,
            month=manifest.month,
            months=manifest.months,
            estimator=manifest.estimator,
            threshold=manifest.threshold,
            metrics=manifest.metrics,
            features=tuple(feature.name for feature in champion.bundle.schema),
            bundle_sha256=champion.bundle.digest,
            served_since=champion.since,
        )

    @get("/metrics", summary="Prometheus", tags=_TAGS, media_type=MediaType.TEXT, responses=documented())
    async def prometheus() -> Response[str]:
        """Requests, latency, predictions, champion, feature age, refused reloads, in Prometheus' text format."""
        return Response(metrics.text().decode(), media_type="text/plain; version=0.0.4")

    return [health, ready, model, prometheus]
