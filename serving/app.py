"""The app: puts the parts together and keeps them running.

Here: `create_app`, and the tasks that watch the registry and the online store. Not here: the parts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from litestar import Litestar, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.response import Redirect

from churn_platform.contracts import Contract, declared
from churn_platform.online.store import open_reader
from churn_platform.settings import Settings
from serving.access import SCHEME, access_of
from serving.champion import Champions
from serving.dagster_client import DagsterClient
from serving.docs import DocsPage
from serving.edge import Edge
from serving.features import OnlineFeatures
from serving.generation import Generator
from serving.hosts import hosts_of
from serving.ledger import ReceiptReader
from serving.limits import Limit
from serving.metrics import Metrics
from serving.naming import Naming
from serving.prediction_log import PredictionLog
from serving.predictor import Predictor
from serving.problems import HANDLERS
from serving.registry import open_registry
from serving.routes import changes, customers, erasures, explanations, operations, predictions, reports
from serving.shelf import Shelf

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> Edge:
    """The ASGI app. Only the tokens are read before its lifespan starts, and nothing is served after it ends."""
    metrics = Metrics()
    seconds, postgres = settings.serving_timeout_seconds, settings.postgres_url.get_secret_value()
    registry = open_registry(settings.mlflow_uri, seconds)
    ledger = ReceiptReader(settings.home / "receipts", postgres, seconds)
    reader = open_reader(settings.online_store, seconds)
    features = OnlineFeatures(reader, metrics)
    champions = Champions(registry, ledger, Shelf(settings.serving_home), features, settings, metrics)
    rows, days = settings.prediction_log_rows, settings.prediction_log_days
    prediction_log = PredictionLog(settings.prediction_log, rows, metrics, days)
    contract = declared(settings.company)
    naming = Naming(contract)
    predictor = Predictor(contract, naming, champions, features, prediction_log, metrics)
    access = access_of(settings)
    dagster = DagsterClient(settings.dagster_api, settings.run_url)
    generator = Generator(settings, simulated=contract is declared(None))
    changing = Limit(settings.serving_change_limit, 60)

    @asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(_poll(champions.refresh, settings.serving_poll_seconds)),
            asyncio.create_task(_poll(features.refresh, settings.serving_poll_seconds)),
            asyncio.create_task(prediction_log.run()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            predictor.close()
            await registry.close()
            await ledger.close()
            await reader.close()
            await dagster.close()

    @get("/", include_in_schema=False)
    async def root() -> Redirect:
        return Redirect("/docs")

    app = Litestar(
        [
            root,
            reports.route(settings.reports),
            *predictions.routes(predictor, naming),
            explanations.route(predictor, naming),
            *customers.routes(predictor, naming),
            *operations.routes(champions, features, predictor, metrics),
            *changes.routes(dagster, generator, access, changing),
            *erasures.routes(dagster, access, changing, settings.erasure_requests),
        ],
        exception_handlers=HANDLERS,
        lifespan=[running],
        logging_config=None,
        openapi_config=_openapi(contract),
        request_max_body_size=settings.serving_max_body_bytes,
    )
    return Edge(app, hosts_of(settings), access, Limit(settings.serving_rate_limit, 1), metrics)


async def _poll(refresh: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Call `refresh` at once, then again and again with these pauses. An error is logged, and the calls go on."""
    while True:
        try:
            await refresh()
        except Exception:
            log.exception("a refresh failed")
        await asyncio.sleep(seconds)


def _openapi(contract: Contract) -> OpenAPIConfig:
    return OpenAPIConfig(
        title=f"{contract.declaration.company.name} churn predictions",
        version=operations.VERSION,
        description="One customer's risk of churning, from the champion and the newest published features.",
        path="/docs",
        render_plugins=[DocsPage(path="/")],
        components=Components(security_schemes={SCHEME: SecurityScheme(type="http", scheme="bearer")}),
        tags=[
            Tag(
                "predictions",
                "Answered by the champion. Other machines need a token: CHURN_READ_TOKEN or a stronger one.",
            ),
            Tag("operations", "For whoever runs the service."),
            Tag("changes", "Need the admin's token: CHURN_API_TOKEN, or the file api_token under CHURN_HOME."),
        ],
        use_handler_docstrings=True,
    )
