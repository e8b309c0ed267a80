"""Predictions: one customer, many, a what-if, and the features behind them.

The first two hand the server the bytes of their answers, bypassing Litestar's own responses, which cost as much as a
score.
"""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import Body, Parameter
from litestar.response.base import ASGIResponse

from serving.messages import (
    BatchAnswer,
    BatchRequest,
    CustomerFeatures,
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
        responses=documented(400, 404, 413, 503, answer=Prediction),
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
        responses=documented(400, 413, 503, answer=BatchAnswer),
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
        responses=documented(400, 413, 503),
    )
    async def predict_features(
        data: Annotated[
            WhatIfRequest,
            Body(examples=[Example(value={"features": {"contract_type": "Two year", "monthly_fee": 29.5}})]),
        ],
    ) -> WhatIf:
        """The risk with these features. A missing or null one is unknown if the contract allows it; otherwise 400."""
        return predictor.what_if(data.features)

    @get("/features/{user_id:str}", summary="One customer's features", tags=_TAGS, responses=documented(404, 503))
    async def features(
        user_id: Annotated[str, Parameter(description="The customer.", examples=[Example(value="7590-VHVEG")])],
    ) -> CustomerFeatures:
        """What the online store holds about the customer, and the day that it describes."""
        return await predictor.features(user_id)

    return [predict, predict_batch, predict_features, features]
