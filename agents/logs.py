"""Logging for all roles: structlog on stderr, constant event strings, facts as keys with units."""

import logging
import sys
import time
from typing import Literal

import structlog

REPEAT_SECONDS = 10.0


class _Repeats(logging.Filter):
    """Lets the same message through once in a while: a client whose broker is away repeats itself many times a second.

    Messages are the same when their source line is, whatever their arguments.
    """

    def __init__(self) -> None:
        super().__init__()
        self._next_at: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        place = (record.pathname, record.lineno)
        if now < self._next_at.get(place, 0.0):
            return False
        self._next_at[place] = now + REPEAT_SECONDS
        return True


def configure_logs(log_format: Literal["console", "json"], role: str) -> None:
    """Set up logging once per process, in `main`."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)
    # Libraries (Faust, aiokafka, SQLAlchemy) log through the standard library: warnings and worse are shown.
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Repeats())
    logging.basicConfig(
        level=logging.WARNING, handlers=[handler], format=f"%(asctime)s {role} %(name)s %(levelname)s %(message)s"
    )
