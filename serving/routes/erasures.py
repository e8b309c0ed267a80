"""Erasures: the routes by which customers are erased, for whoever has the admin's token.

Here: handing the request over and saying how it is doing. Not here: erasing, which is a run of the platform's.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import Body, Parameter

from churn_platform import erasure_requests
from churn_platform.erasure_requests import ErasureRequest
from serving.access import CHANGING, Access, Right
from serving.dagster_client import DagsterClient
from serving.limits import Limit, limited
from serving.messages import EraseRequest, ErasureStarted, ErasureState
from serving.problems import ProblemError, documented
from serving.routes.changes import RUN_EXAMPLE, RUN_ID, TAGS, asking_dagster

_BY = "whoever has the admin's token, by HTTP"


def routes(dagster: DagsterClient, access: Access, limit: Limit, folder: Path) -> list[HTTPRouteHandler]:
    """The handlers, around these parts; requests are handed over in this folder."""
    asks = access.asking(Right.ADMIN)

    @post(
        "/erasures",
        status_code=202,
        summary="Erase customers",
        tags=TAGS,
        guards=[asks, limited(limit)],
        security=CHANGING,
        responses=documented(400, 401, 413, 503),
    )
    async def erase(
        data: Annotated[
            EraseRequest, Body(examples=[Example(value={"customers": ["C-0001"], "reason": "asked by letter"})])
        ],
    ) -> ErasureStarted:
        """Starts a run that erases the customers from everything that the platform keeps, and answers at once.

        Whoever is erased comes back by no drop and no backup. A receipt tells how many they were, and why.
        """
        customers = tuple(dict.fromkeys(map(str, data.customers)))
        if erasure_requests.names_any(data.reason, customers):
            raise ProblemError(400, "bad_request", "The reason names a customer, and receipts keep it for ever.")
        name = erasure_requests.new_name()
        asked = ErasureRequest(customers, data.reason, _BY, datetime.now(UTC).isoformat(timespec="seconds"))
        await asyncio.to_thread(erasure_requests.write, folder, name, asked)
        try:
            with asking_dagster():
                return await dagster.forget(name)
        except ProblemError:
            await asyncio.to_thread(erasure_requests.remove, folder, name)
            raise

    @get(
        "/erasures/{run_id:str}",
        summary="An erasure's state",
        tags=TAGS,
        guards=[asks],
        security=CHANGING,
        responses=documented(401, 404, 503),
    )
    async def erasure_state(
        run_id: Annotated[str, Parameter(description="As returned by /erasures.", examples=[RUN_EXAMPLE])],
    ) -> ErasureState:
        """How the run is doing."""
        with asking_dagster():
            state = await dagster.erasure_state(run_id) if RUN_ID.fullmatch(run_id) else None
        if state is None:
            raise ProblemError(404, "not_found", f"Dagster has no erasure {run_id}.")
        return state

    return [erase, erasure_state]
