"""The measure: a bare Litestar route that gives back what it gets, on the server and settings of serving."""

from __future__ import annotations

import msgspec
from litestar import Litestar, post

from churn_platform.settings import Settings
from serving.run import server


class Body(msgspec.Struct):
    """A body as typed as the one of /predict."""

    user_id: str


@post("/echo", status_code=200)
async def echo(data: Body) -> Body:
    return data


if __name__ == "__main__":
    server(Litestar([echo], logging_config=None), Settings()).run()
