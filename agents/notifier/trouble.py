"""What goes away and comes back: the database and Kafka. Such errors are waited out, all others end the role."""

from aiokafka.errors import KafkaError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

TROUBLE_SECONDS = 1.0

# asyncpg raises the operating system's own errors when it cannot connect.
DATABASE_TROUBLE = (SQLAlchemyError, OSError)
TROUBLE = (*DATABASE_TROUBLE, KafkaError)


def explain(error: Exception) -> str:
    """In one line for people; without statements, whose parameters are events."""
    if isinstance(error, KafkaError):
        return f"Kafka: {error!r}"
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return f"the database: {type(cause).__name__}: {str(cause).splitlines()[0] if str(cause) else 'no details'}"
