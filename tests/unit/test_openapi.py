"""The API's OpenAPI description says everything that there is, and nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.unit.web_house import House, web_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with web_house(tmp_path) as house:
        yield house


async def test_the_description_names_every_route_and_no_other(house: House) -> None:
    openapi = await (await house.client.get("/api/openapi.json")).json()
    assert openapi["openapi"].startswith("3.1")
    routes = {
        resource.canonical
        for resource in house.client.server.app.router.resources()  # type: ignore[attr-defined]  # of a TestServer
        if resource.canonical.startswith("/api/v1")
    }
    assert set(openapi["paths"]) == routes
    operations = [path["get"]["operationId"] for path in openapi["paths"].values()]
    assert len(set(operations)) == len(operations)


async def test_the_description_is_whole(house: House) -> None:
    openapi = await (await house.client.get("/api/openapi.json")).json()
    schemas = openapi["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["description"]
    used = set()

    def look(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                used.add(node["$ref"].removeprefix("#/components/schemas/"))
            for value in node.values():
                look(value)
        elif isinstance(node, list):
            for item in node:
                look(item)

    look(openapi)
    assert used == set(schemas)
    for path, operations in openapi["paths"].items():
        declared = {parameter["name"] for parameter in operations["get"]["parameters"] if parameter["in"] == "path"}
        assert all(f"{{{name}}}" in path for name in declared)
        assert path.count("{") == len(declared)
