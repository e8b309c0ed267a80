"""Running: the server process, `python -m serving` or `churn serve`.

Uvicorn with httptools and uvloop, in one process: it answered as many requests as Granian with one worker did, with two
thirds of the CPU time and of the memory, which leaves more of a small machine to the model.
"""

from __future__ import annotations

import logging

import uvicorn

from churn_platform.faults import entrance
from churn_platform.settings import Settings, begin
from serving.app import create_app
from serving.connections import limited
from serving.edge import Edge


def server(app: Edge, settings: Settings) -> uvicorn.Server:
    """The server of the app, ready to run."""
    config = uvicorn.Config(
        app,
        host=settings.serving_host,
        port=settings.serving_port,
        loop="uvloop",
        http=limited(settings.serving_client_seconds, settings.serving_connections, app.metrics.ended_connections),
        ws="none",
        proxy_headers=False,  # anybody can write X-Forwarded-For, and the limits count by address
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    return uvicorn.Server(config)


def main() -> None:
    """Serve until SIGINT or SIGTERM; requests under way are answered first."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with entrance():
        settings = begin()
        server(create_app(settings), settings).run()
