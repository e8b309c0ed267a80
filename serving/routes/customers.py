"""Customers: what the online store holds about them."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import Parameter

from serving.access import READING
from serving.messages import CustomerFeatures, SomeCustomers
from serving.predictor import Predictor
from serving.problems import documented

_TAGS = ["predictions"]
_SOME = 5


def routes(predictor: Predictor) -> list[HTTPRouteHandler]:
    """The handlers, around this predictor."""

    @get(
        "/features/{user_id:str}",
        summary="One customer's features",
        tags=_TAGS,
        security=READING,
        responses=documented(401, 404, 503),
    )
    async def features(
        user_id: Annotated[str, Parameter(description="The customer.", examples=[Example(value="7590-VHVEG")])],
    ) -> CustomerFeatures:
        """What the online store holds about the customer, and the day that it describes."""
        return await predictor.features(user_id)

    @get(
        "/customers",
        summary="A few customers",
        tags=_TAGS,
        security=READING,
        responses=documented(401, 503),
    )
    async def customers() -> SomeCustomers:
        """The first ones of the newest published month, to try the other routes with."""
        return await predictor.some_customers(_SOME)

    return [features, customers]
