"""The history projection on a real PostgreSQL: the same suite as on SQLite."""

from collections.abc import Iterator

import pytest

from tests.servers.postgresql import PostgreSQL, run_postgresql
from tests.unit.projection_suite import ProjectionSuite

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    with run_postgresql() as server:
        yield server


@pytest.fixture
def url(postgresql: PostgreSQL) -> str:
    return postgresql.create_database()


class TestProjectionOnPostgresql(ProjectionSuite):
    pass
