"""Files that are served: read once, and sent whole, packed, or not at all where the client has them.

Scripts are sent without what they say to those who read them, a sixth of their packed size; lines keep their numbers.
"""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Self

from fastapi import Request
from fastapi.responses import Response

MEDIA_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""By the ending of a name; files with other endings are not served."""
COMMENT = re.compile(rb"^ *(/\*\*([^*]|\*(?!/))*\*/|//[^\n]*)$", re.MULTILINE)
"""One that has its lines for itself."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file.

    Attributes:
        content: What is sent.
        packed: By gzip.
        media_type: For `Content-Type`.
        etag: Weak, since both forms have the same.
    """

    content: bytes
    packed: bytes
    media_type: str
    etag: str

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a file."""
        content = file.read_bytes()
        if file.suffix == ".js":
            content = COMMENT.sub(lambda comment: b"\n" * comment[0].count(b"\n"), content)
        etag = f'W/"{blake2b(content, digest_size=12).hexdigest()}"'
        return cls(content, gzip.compress(content, mtime=0), MEDIA_TYPES[file.suffix], etag)

    def reply(self, request: Request, headers: Mapping[str, str]) -> Response:
        """Return the response to a request for the file, with more headers."""
        sent = {**headers, "ETag": self.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if self.etag in _parts(request, "if-none-match"):
            return Response(status_code=304, headers=sent)
        if "gzip" in _parts(request, "accept-encoding"):
            return Response(self.packed, headers=sent | {"Content-Encoding": "gzip"}, media_type=self.media_type)
        return Response(self.content, headers=sent, media_type=self.media_type)


@cache
def read_assets(folder: Path) -> Mapping[str, Asset]:
    """Read the files of a folder that can be served, once; to pack them takes a moment.

    Returns:
        By their path within it.
    """
    files = (file for file in sorted(folder.rglob("*")) if file.suffix in MEDIA_TYPES)
    return {file.relative_to(folder).as_posix(): Asset.read(file) for file in files}


def _parts(request: Request, header: str) -> set[str]:
    """Return the values of a header without their weights; those with the weight 0 are left out."""
    parts = (part.strip() for value in request.headers.getlist(header) for part in value.split(","))
    return {part.partition(";")[0].strip() for part in parts if not part.replace(" ", "").endswith(";q=0")}
