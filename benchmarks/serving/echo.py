"""The yardstick: a bare Litestar route that returns what it gets, on serving's server and settings."""

from __future__ import annotations

import msgspec
from litestar import Litestar, post

from churn_platform.settings import Settings
from serving.run import server


class Body(msgspec.Struct):
    """A body that is typed like that of /predict."""

    user_id: str


@post("/echo", status_code=200)
async def echo(data: Body) -> Body:
    return data


if __name__ == "__main__":
    server(Litestar([echo], logging_config=None), Settings()).run()
