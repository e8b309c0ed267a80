"""Predictions: one customer, many, a what-if. The features behind them are among `customers`.

The first two hand the server the bytes of their answers, bypassing Litestar's own responses, which cost as much as a
score. Annotations are not put off here: what is asked for is named by the company, so its types are made at the start.
"""

from typing import Annotated

from litestar import post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import Body
from litestar.response.base import ASGIResponse

from serving.access import READING
from serving.messages import WhatIf, WhatIfRequest
from serving.naming import Naming
from serving.predictor import Predictor
from serving.problems import documented

_TAGS = ["predictions"]


def routes(predictor: Predictor, naming: Naming) -> list[HTTPRouteHandler]:
    """The handlers, around this predictor."""

    @post(
        "/predict",
        status_code=200,
        summary="One customer's risk",
        tags=_TAGS,
        security=READING,
        responses=documented(400, 401, 404, 413, 503, answer=naming.prediction, customer=naming.key),
    )
    async def predict(
        data: Annotated[naming.predict_request, Body(examples=[Example(value=naming.example)])],  # type: ignore[name-defined]
    ) -> ASGIResponse:
        """The champion's probability that the customer churns, with the features it was given.

        404 where the customer is not active in the newest published month.
        """
        return ASGIResponse(body=await predictor.predict(data.customer))

    @post(
        "/predict/batch",
        status_code=200,
        summary="Many customers' risks",
        tags=_TAGS,
        security=READING,
        responses=documented(400, 401, 413, 503, answer=naming.batch_answer),
    )
    async def predict_batch(
        data: Annotated[naming.batch_request, Body(examples=[Example(value=naming.examples)])],  # type: ignore[name-defined]
    ) -> ASGIResponse:
        """One result or one error per customer, in the order asked, up to 1,000; one version answers all."""
        return ASGIResponse(body=await predictor.predict_batch(data.customers))

    @post(
        "/predict/features",
        status_code=200,
        summary="What if?",
        tags=_TAGS,
        security=READING,
        responses=documented(400, 401, 413, 503),
    )
    async def predict_features(
        data: Annotated[
            WhatIfRequest,
            Body(examples=[Example(value=naming.what_if)]),
        ],
    ) -> WhatIf:
        """The risk with these features. A missing or null one is unknown if the contract allows it; otherwise 400."""
        return predictor.what_if(data.features)

    return [predict, predict_batch, predict_features]
