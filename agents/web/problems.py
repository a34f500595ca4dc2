"""Errors as RFC 9457 problem details, whatever they come from: a wrong question, no route, or our own bug."""

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from sqlalchemy.exc import SQLAlchemyError

from agents.metrics import WebMetrics
from agents.web.documents import Problem

log = structlog.get_logger()

CONTENT_TYPE = "application/problem+json"
# Probes answer in plain words, as whoever runs them expects.
_PLAIN_PATHS = ("/-/", "/metrics")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WrongQuestionError(Exception):
    """The caller's mistake: says what was expected."""


class NotFoundError(Exception):
    """There is no such thing: says what was looked for."""


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    """The answer."""
    document = Problem("about:blank", HTTPStatus(status).phrase, status, detail)
    return web.Response(
        status=status, body=msgspec.json.encode(document), content_type=CONTENT_TYPE, headers=headers or {}
    )


def _detail_of(request: web.Request, error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return f"{request.path} does not take {request.method}, expected {allowed}"
    if error.status == HTTPStatus.NOT_FOUND:
        return f"there is no {request.path}; /api/openapi.json says what there is"
    return error.text or error.reason


def problem_middleware(metrics: WebMetrics) -> Middleware:
    """The outermost middleware: turns everything that went wrong into an answer, and measures every answer."""

    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except WrongQuestionError as error:
            return problem(400, str(error))
        except NotFoundError as error:
            return problem(404, str(error))
        except web.HTTPException as error:
            if error.status < 400:
                raise
            kept = {name: value for name, value in error.headers.items() if name in {"Allow", "Retry-After"}}
            return problem(error.status, _detail_of(request, error), kept)
        except (SQLAlchemyError, OSError) as error:
            log.warning("the database did not answer", path=request.path, error=str(error).partition("\n")[0])
            return problem(503, "the database does not answer, try again", {"Retry-After": "5"})
        except Exception:
            log.exception("a request failed", path=request.path)
            return problem(500, "an error of Driftline's own; its log has the details")

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        response = await answer(request, handler)
        route = request.match_info.route.resource
        metrics.requests.labels(route.canonical if route else "none", str(response.status)).observe(
            time.perf_counter() - started
        )
        if response.status < 400 or request.path.startswith(_PLAIN_PATHS) or response.content_type == CONTENT_TYPE:
            return response
        # What another middleware refused, such as a caller without a password.
        text = response.text if isinstance(response, web.Response) and response.text else ""
        kept = {name: value for name, value in response.headers.items() if name == "WWW-Authenticate"}
        return problem(response.status, text.strip(), kept)

    return measure
