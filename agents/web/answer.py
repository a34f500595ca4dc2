"""An answer of the API that went well: a document as JSON that nobody keeps."""

import msgspec
from aiohttp import web


def json_answer(document: object, status: int = 200) -> web.Response:
    """The document as an answer."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(document),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
