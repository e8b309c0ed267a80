"""Predictions: one customer, many, a what-if. The features behind them are among `customers`.

The first two hand the server the bytes of their answers, bypassing Litestar's own responses, which cost as much as a
score.
"""

from __future__ import annotations

from typing import Annotated

from litestar import post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import Body
from litestar.response.base import ASGIResponse

from serving.access import READING
from serving.messages import (
    BatchAnswer,
    BatchRequest,
    Prediction,
    PredictRequest,
    WhatIf,
    WhatIfRequest,
)
from serving.predictor import Predictor
from serving.problems import documented

_TAGS = ["predictions"]


def routes(predictor: Predictor) -> list[HTTPRouteHandler]:
    """The handlers, around this predictor."""

    @post(
        "/predict",
        status_code=200,
        summary="One customer's risk",
        tags=_TAGS,
        security=READING,
        responses=documented(400, 401, 404, 413, 503, answer=Prediction),
    )
    async def predict(
        data: Annotated[PredictRequest, Body(examples=[Example(value={"user_id": "7590-VHVEG"})])],
    ) -> ASGIResponse:
        """The champion's probability that the customer churns, with the features it was given.

        404 where the customer is not active in the newest published month.
        """
        return ASGIResponse(body=await predictor.predict(data.user_id))

    @post(
        "/predict/batch",
        status_code=200,
        summary="Many customers' risks",
        tags=_TAGS,
        security=READING,
        responses=documented(400, 401, 413, 503, answer=BatchAnswer),
    )
    async def predict_batch(
        data: Annotated[BatchRequest, Body(examples=[Example(value={"user_ids": ["7590-VHVEG", "5575-GNVDE"]})])],
    ) -> ASGIResponse:
        """One result or one error per customer, in the order asked, up to 1,000; one version answers all."""
        return ASGIResponse(body=await predictor.predict_batch(data.user_ids))

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
            Body(examples=[Example(value={"features": {"contract_type": "Two year", "monthly_fee": 29.5}})]),
        ],
    ) -> WhatIf:
        """The risk with these features. A missing or null one is unknown if the contract allows it; otherwise 400."""
        return predictor.what_if(data.features)

    return [predict, predict_batch, predict_features]
