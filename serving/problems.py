"""Problems: every error's answer, as `application/problem+json` (RFC 9457).

Here: the problem document, the exception that carries one, and the handlers that turn any exception into one. Not here:
when to raise which (the routes and what they call).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from churn_platform.faults import Fault
from serving.asking import shown
from serving.messages import CustomerId

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
BODY = "data"

_NAMED = re.compile(r"field `([^`]+)`")


class FieldProblem(msgspec.Struct, frozen=True):
    """What is wrong with one field of a request, named by its path, such as `features.` and a feature."""

    field: str
    message: str


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457's members, and this API's own: `code` is stable for programs, `detail` is for people.

    `fields` comes with a bad request, `missing_features` where the store holds a customer without some,
    `missing` where the service is not ready.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    fields: tuple[FieldProblem, ...] = ()
    missing_features: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class ProblemError(Fault):
    """An answer that is an error. `more` holds further members of ProblemDetails."""

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **more: tuple[Any, ...]
    ) -> None:
        super().__init__(detail)
        self.headers = dict(headers or {})
        self.details = ProblemDetails(
            type=f"urn:churn:problem:{code}",
            title=HTTPStatus(status).phrase,
            status=status,
            detail=str(self),
            code=code,
            **more,
        )

    def response(self) -> Response[ProblemDetails]:
        """The answer."""
        return Response(self.details, status_code=self.details.status, media_type=MEDIA_TYPE, headers=self.headers)


def bad_request(*fields: FieldProblem) -> ProblemError:
    """400: these fields are wrong. A request may call them anything, so they are cut."""
    fields = tuple(FieldProblem(shown(field.field), shown(field.message)) for field in fields)
    detail = "; ".join(f"{field.field}: {field.message}" for field in fields)
    return ProblemError(400, "bad_request", detail, fields=fields)


def no_features(customer: str) -> str:
    """What is said of a customer whom the store does not hold."""
    return f"No features for {shown(customer)}: not an active customer in the newest published month."


_CODES = {
    400: "bad_request",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    429: "too_many_requests",
}


def _on_validation(_: Request[Any, Any, Any], error: ValidationException) -> Response[ProblemDetails]:
    found = error.extra if isinstance(error.extra, list) else []
    fields = [_field(item.get("key", BODY), item.get("message", "")) for item in found]
    return bad_request(*(fields or [FieldProblem("body", "a JSON body is required")])).response()


def _field(key: str, message: str) -> FieldProblem:
    """One of Litestar's findings. It calls the whole body `data`; msgspec then names the field in its message."""
    if key != BODY:
        return FieldProblem(key, message)
    if message == repr(BODY):  # the name that Litestar did not find
        return FieldProblem("body", "a JSON body is required")
    named = _NAMED.search(message)
    return FieldProblem(named[1] if named else "body", message)


def _on_http(_: Request[Any, Any, Any], error: HTTPException) -> Response[ProblemDetails]:
    status = error.status_code
    if status == 500 and "disconnected" in error.detail:  # nobody is left who would read the answer
        return bad_request(FieldProblem("body", "ended early")).response()
    if status == 400:
        return bad_request(FieldProblem("body", error.detail)).response()
    if status not in _CODES:
        return _unexpected(error)
    return ProblemError(status, _CODES[status], error.detail, error.headers).response()


def _on_problem(_: Request[Any, Any, Any], problem: ProblemError) -> Response[ProblemDetails]:
    return problem.response()


def _on_unreadable(_: Request[Any, Any, Any], error: Exception) -> Response[ProblemDetails]:
    """What decoding a body raises that Litestar does not take for the client's error: not UTF-8, nested too deeply."""
    return bad_request(FieldProblem("body", f"cannot be read: {type(error).__name__}")).response()


def _on_unexpected(_: Request[Any, Any, Any], error: Exception) -> Response[ProblemDetails]:
    return _unexpected(error)


def _unexpected(error: Exception) -> Response[ProblemDetails]:
    log.error("an unexpected error was answered with 500", exc_info=error)
    return ProblemError(500, "unexpected", "Something went wrong here; it has been logged.").response()


HANDLERS: dict[Any, Any] = {
    ProblemError: _on_problem,
    ValidationException: _on_validation,
    HTTPException: _on_http,
    UnicodeDecodeError: _on_unreadable,
    RecursionError: _on_unreadable,
    Exception: _on_unexpected,
}

_DOCUMENTED: dict[int, tuple[str, str, dict[str, Any]]] = {
    400: (
        "bad_request",
        "body: a JSON body is required",
        {"fields": (FieldProblem("body", "a JSON body is required"),)},
    ),
    401: ("unauthorized", "Send the token as `Authorization: Bearer ...`.", {}),
    403: ("unknown_host", "Serving is not asked by this name; CHURN_ALLOWED_HOSTS names others.", {}),
    404: ("not_found", "There is nothing by this name.", {}),
    409: ("conflict", "Another month is being generated already.", {}),
    413: ("too_large", "Request Entity Too Large", {}),
    429: ("too_many_requests", "At most 10 calls per 60 seconds from one address.", {}),
    503: ("not_ready", "No champion is loaded.", {"missing": ("champion: the registry names none",)}),
}


def documented(
    *statuses: int,
    answer: type[Any] | None = None,
    customer: CustomerId | None = None,
    also: ProblemError | None = None,
) -> dict[int, ResponseSpec]:
    """The OpenAPI descriptions of a route's errors, and of its answer where the route makes the bytes itself.

    403 and 429 are among the errors of every route. `customer` is an example of a key that may be unknown, and `also`
    one more error that has one of these statuses.
    """
    specs = {}
    if answer is not None:
        specs[200] = ResponseSpec(answer, generate_examples=False, description="Answered")
    for status in sorted({*statuses, 403, 429}):
        code, detail, more = _DOCUMENTED[status]
        if status == 404 and customer is not None:
            code, detail = "missing_features", no_features(str(customer))
        problems = [ProblemError(status, code, detail, **more)]
        if also is not None and also.details.status == status:
            problems.append(also)
        specs[status] = ResponseSpec(
            ProblemDetails,
            generate_examples=False,
            description=HTTPStatus(status).phrase,
            media_type=MEDIA_TYPE,
            examples=[Example(summary=p.details.code, value=msgspec.to_builtins(p.details)) for p in problems],
        )
    return specs
