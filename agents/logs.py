"""Logging for all roles: structlog on stderr, constant event strings, facts as keys with units."""

import logging
import sys
from typing import Literal

import structlog


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
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format=f"%(asctime)s {role} %(name)s %(levelname)s %(message)s"
    )
