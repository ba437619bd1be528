"""The app: routes, errors and request ids around models that are ready."""

from importlib.metadata import version

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI

from search.expander import Models
from server.errors import install_error_handlers
from server.routes import answers, health, openai, solve
from server.state import Engine, PlainPolicy, State


def create_app(models: Models, engines: tuple[Engine, ...], plain: PlainPolicy | None = None) -> FastAPI:
    """Build the app.

    Args:
        models: What searches work with.
        engines: What must answer for the service to be ready.
        plain: The policy for OpenAI's clients that ask for no search; None refuses them.
    """
    app = FastAPI(
        title="winnow", version=version("winnow"), summary="Search and verify: one answer, with its evidence."
    )
    app.state.winnow = State(models, engines, plain)
    app.add_middleware(CorrelationIdMiddleware)
    app.include_router(solve.router)
    app.include_router(openai.router)
    app.include_router(answers.router)
    app.include_router(health.router)
    install_error_handlers(app)
    return app
