"""Changes: the routes that change something and so ask for the token: a new month, a retraining."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import Body, Parameter

from serving.access import CHANGING, Access, Right
from serving.dagster_client import DagsterClient, DagsterUnavailableError, NothingToRetrainOnError
from serving.generation import Generator
from serving.limits import Limit, limited
from serving.messages import Generated, GenerateRequest, RetrainRequest, RetrainStarted, RetrainState
from serving.problems import ProblemError, documented

TAGS = ["changes"]
RUN_EXAMPLE = Example(value="0e4a34a3-8e5d-4a8b-9d0a-1c2f6e9b7a11")
RUN_ID = re.compile(r"[0-9a-f-]{36}")


def routes(dagster: DagsterClient, generator: Generator, access: Access, limit: Limit) -> list[HTTPRouteHandler]:
    """The handlers, around these parts. Only of a company that can be simulated does the document offer `/generate`."""
    asks = access.asking(Right.ADMIN)
    guards = [asks, limited(limit)]

    @post(
        "/generate",
        include_in_schema=generator.simulated,
        summary="Write the next synthetic month",
        tags=TAGS,
        guards=guards,
        security=CHANGING,
        responses=documented(400, 401, 409, 413),
    )
    async def generate(
        data: Annotated[GenerateRequest, Body(examples=[Example(value={"samples": 1000, "shock": "price_rise"})])],
    ) -> Generated:
        """Writes the drop of the month after the newest one, beside the others, where the sensors find it.

        Earlier months that have no labels get them once they are known, even where somebody has removed them.
        """
        return await generator.generate(data)

    @post(
        "/retrain",
        status_code=202,
        summary="Start a retraining",
        tags=TAGS,
        guards=guards,
        security=CHANGING,
        responses=documented(400, 401, 409, 413, 503),
    )
    async def retrain(
        data: Annotated[RetrainRequest | None, Body(examples=[Example(value={"month": "2024-02"})])] = None,
    ) -> RetrainStarted:
        """Starts the job in Dagster and answers at once; without a month, for the newest one with labels."""
        with asking_dagster():
            return await dagster.retrain(data.month if data else None)

    @get(
        "/retrain/{run_id:str}",
        summary="A retraining's state",
        tags=TAGS,
        guards=[asks],
        security=CHANGING,
        responses=documented(401, 404, 503),
    )
    async def retrain_state(
        run_id: Annotated[str, Parameter(description="As returned by /retrain.", examples=[RUN_EXAMPLE])],
    ) -> RetrainState:
        """The run's state and, once it has been evaluated, the version, its metrics and the verdict."""
        with asking_dagster():
            state = await dagster.state(run_id) if RUN_ID.fullmatch(run_id) else None
        if state is None:
            raise ProblemError(404, "not_found", f"Dagster has no retraining {run_id}.")
        return state

    return [generate, retrain, retrain_state]


@contextmanager
def asking_dagster() -> Iterator[None]:
    """Answer with a problem where Dagster cannot do what is asked."""
    try:
        yield
    except NothingToRetrainOnError as error:
        raise ProblemError(409, "conflict", str(error)) from error
    except DagsterUnavailableError as error:
        raise ProblemError(503, "dagster_unavailable", str(error)) from error
