"""Explanations: why one customer is at risk.

Annotations are not put off here: see `predictions`.
"""

from typing import Annotated

import msgspec
from litestar import post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import Body
from litestar.response.base import ASGIResponse

from serving.access import READING
from serving.explaining import too_many_waiting
from serving.naming import Naming
from serving.predictor import Predictor
from serving.problems import documented


def route(predictor: Predictor, naming: Naming) -> HTTPRouteHandler:
    """The handler, around this predictor."""

    @post(
        "/explain",
        status_code=200,
        summary="Why one customer is at risk",
        tags=["predictions"],
        security=READING,
        responses=documented(
            *(400, 401, 404, 413, 503),
            answer=naming.explanation,
            customer=naming.key,
            also=too_many_waiting(),
        ),
    )
    async def explain(
        data: Annotated[naming.predict_request, Body(examples=[Example(value=naming.example)])],  # type: ignore[name-defined]
    ) -> ASGIResponse:
        """What each feature adds to the log-odds of churning, compared with 32 training customers.

        The parts add up to the score. They explain the model: changing a value need not change what the customer does.
        Customers are explained one after the other: 503 with the code `too_many_waiting` where too many wait already.

        What has changed since last month is in the scores, and `churn predict --reasons` shows it.
        """
        return ASGIResponse(body=msgspec.json.encode(await predictor.explain(data.customer)))

    return explain
