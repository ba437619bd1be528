"""`/docs`: the interface of this service for people. Swagger UI draws it, without anything from elsewhere.

Its files say nothing of the service, so that a browser can load them without a key; the document itself needs one.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter, Request, Response

from server.http.assets import read_assets

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parents[1] / "http" / "docs"
FILES: Mapping[str, str] = {
    "/docs": "index.html",
    "/docs/start.js": "start.js",
    "/docs/style.css": "style.css",
    "/docs/swagger-ui-bundle.js": "swagger-ui/swagger-ui-bundle.js",
    "/docs/swagger-ui.css": "swagger-ui/swagger-ui.css",
}
"""By path, where each lies in the folder."""


async def get_file(request: Request) -> Response:
    assets = await asyncio.to_thread(read_assets, FOLDER)
    return assets[FILES[request.scope["route"].path]].reply(request, {})


for path in FILES:
    router.add_api_route(path, get_file, methods=["GET"])
