"""Security headers of every reply, and HEAD requests."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

CLOSE = {"Connection": "close"}
"""For replies after which the rest of the connection is not read."""

FENCE = "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
CONTENT_SECURITY_POLICY = f"default-src 'self'; img-src 'self' data:; {FENCE}"

CDN = "https://cdn.jsdelivr.net"
DOCS_SECURITY_POLICY = (
    f"default-src 'self'; script-src 'self' 'unsafe-inline' {CDN}; style-src 'self' 'unsafe-inline' {CDN}; "
    f"img-src 'self' data: https://fastapi.tiangolo.com; {FENCE}"
)
"""FastAPI's documentation starts with an inline script and loads Swagger UI from a CDN."""

DOCS = ("/docs", "/docs/oauth2-redirect")


class HeadMiddleware:
    """Answers HEAD as GET; the protocol leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        await self._app({**scope, "method": "GET"} if is_head else scope, receive, send)


class SecurityHeadersMiddleware:
    """Adds the security headers that a reply does not set."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        policy = DOCS_SECURITY_POLICY if scope["path"] in DOCS else CONTENT_SECURITY_POLICY

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in {**HEADERS, "Content-Security-Policy": policy}.items():
                    headers.setdefault(name, value)
            await send(message)

        return await self._app(scope, receive, send_with_headers)
