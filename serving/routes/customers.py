"""Customers: what the online store holds about them.

Annotations are not put off here: see `predictions`.
"""

from typing import Annotated

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Example
from litestar.params import Parameter

from serving.access import READING
from serving.naming import Naming
from serving.predictor import Predictor
from serving.problems import documented

_TAGS = ["predictions"]
_SOME = 5


def routes(predictor: Predictor, naming: Naming) -> list[HTTPRouteHandler]:
    """The handlers, around this predictor."""

    @get(
        "/features/{customer:str}",
        summary="One customer's features",
        tags=_TAGS,
        security=READING,
        responses=documented(401, 404, 503, customer=naming.key),
    )
    async def features(
        customer: Annotated[str, Parameter(description="The customer.", examples=[Example(value=naming.key)])],
    ) -> naming.customer_features:  # type: ignore[name-defined]
        """What the online store holds about the customer, and the day that it describes."""
        return await predictor.features(customer)

    @get(
        "/customers",
        summary="A few customers",
        tags=_TAGS,
        security=READING,
        responses=documented(401, 503),
    )
    async def customers() -> naming.some_customers:  # type: ignore[name-defined]
        """The first ones of the newest published month, to try the other routes with."""
        return await predictor.some_customers(_SOME)

    return [features, customers]
