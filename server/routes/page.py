"""`GET /`: the page on which people watch a search, and what it needs to begin.

The page asks for nothing from other hosts, runs no inline script, and sends the key of its tab with what it asks for;
its own files need none.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from search.strategies import Field, Row, flat, strategies, trees
from server.http.assets import Asset, read_assets
from server.schemas import MAX_PROBLEM_CHARS, SolveRequest, Wire
from server.settings import DEMO, LIMITS, Example, Settings, read_yaml
from server.solving.state import State

FOLDER = Path(__file__).parents[1] / "page"
PREFIX = "/page/"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SHOWN_DEFAULTS = ("n", "temperature", "max_tokens", "aggregation")


class FieldOut(Wire):
    """A field that a strategy reads, for a form."""

    name: str
    kind: str
    default: str | int | float | None
    low: float | None
    high: float | None
    is_above: bool
    choices: list[str] | None
    description: str


class StrategyOut(Wire):
    """A strategy, and why this service cannot run it, where it cannot.

    Attributes:
        kind: `flat` draws independent responses, `tree` spends its budget otherwise, `table` chooses among the others.
        colour: In charts, as in the plots of `winnow eval`.
    """

    name: str
    kind: Literal["flat", "tree", "table"]
    colour: str
    fields: list[FieldOut]
    lacks: str | None


class About(Wire):
    """What the page needs to begin."""

    version: str
    policy: str | None
    verifier: str | None
    strategies: list[StrategyOut]
    examples: list[Example]
    needs_key: bool
    limits: dict[str, float]
    defaults: dict[str, str | int | float | None]


class Page:
    """The page of a service.

    Attributes:
        paths: Of its files, which need no key.
        router: Its routes.

    Args:
        settings: Of the service.
        needs_key: Whether the service has keys.
    """

    def __init__(self, settings: Settings, *, needs_key: bool) -> None:
        self._files: Mapping[str, Asset] = read_assets(FOLDER)
        self._settings = settings
        self._needs_key = needs_key
        self._examples = examples_of(settings)
        self.paths = frozenset({"/", *(PREFIX + name for name in self._files)})
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route("/", self.get_page, response_model=None)
        self.router.add_api_route(f"{PREFIX}about", self.get_about)
        self.router.add_api_route(f"{PREFIX}{{name:path}}", self.get_file, response_model=None)

    async def get_page(self, request: Request) -> Response:
        return await self.get_file("index.html", request)

    async def get_file(self, name: str, request: Request) -> Response:
        file = self._files.get(name)
        if file is None:
            raise HTTPException(404)
        return file.reply(request, {"Content-Security-Policy": POLICY})

    async def get_about(self, request: Request) -> About:
        state, settings = State.of(request), self._settings
        verifier = state.models.verifier
        return About(
            version=version("winnow"),
            policy=settings.policy_name if settings.has_policy else None,
            verifier=_short(settings.verifier_name),
            strategies=[
                StrategyOut(
                    name=row.name,
                    kind=_kind(row),
                    colour=row.colour,
                    fields=_fields(row, state),
                    lacks=row.lacks(verifier),
                )
                for row in strategies().values()
            ],
            examples=list(self._examples),
            needs_key=self._needs_key,
            limits={name: float(settings.most(name)) for name in LIMITS} | {"problem": float(MAX_PROBLEM_CHARS)},
            defaults={name: SolveRequest.model_fields[name].default for name in SHOWN_DEFAULTS}
            | {
                "max_tokens": settings.response_tokens,
                "n": min(settings.max_n, SolveRequest.model_fields["n"].default),
            },
        )


def examples_of(settings: Settings) -> Sequence[Example]:
    """Return problems that the policy was made for: the recipe's, or those of the demo where it is the demo's."""
    if settings.examples is not None:
        return settings.examples
    if DEMO.resolve() not in Path(settings.policy_model).resolve().parents:
        return ()
    return [Example.model_validate(each) for each in read_yaml(DEMO / "examples.yaml", "the demo's examples")]


def _kind(row: Row) -> Literal["flat", "tree", "table"]:
    if row in flat():
        return "flat"
    return "tree" if row in trees() else "table"


def _fields(row: Row, state: State) -> list[FieldOut]:
    """Return the fields that a strategy reads here: those of a table only where there is one."""
    if row.fallback is not None and state.calibrated.table is None:
        return []
    return [_field(each, state.settings) for each in row.fields]


def _field(field: Field, settings: Settings) -> FieldOut:
    is_choice = issubclass(field.kind, Enum)
    high = settings.most(field.name) if field.name in LIMITS else field.high
    return FieldOut(
        name=field.name,
        kind="choice" if is_choice else field.kind.__name__,
        default=field.default.value if isinstance(field.default, Enum) else field.default,
        low=field.low,
        high=high,
        is_above=field.is_above,
        choices=[choice.value for choice in field.kind] if issubclass(field.kind, Enum) else None,
        description=field.description,
    )


def _short(model: str | None) -> str | None:
    """Return the last part of a path or a Hub name: where a model lies is nobody's business."""
    return Path(model).name if model else None
