"""From an OpenAI request to the search that it asks for, or to an error that says why it cannot be served."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from models.errors import ContextOverflowError
from models.interfaces import Turn
from search.errors import HyperparameterError
from server.errors import RequestError
from server.keys import Client
from server.openai.names import search_of
from server.openai.refusals import read_text, refuse_unkept, refuse_unsearchable
from server.openai.requests import ChatRequest, CompletionRequest, MessageIn, OpenAIRequest, SearchOptions
from server.schemas import SolveRequest
from server.solving.planning import OF_THOUGHTS
from server.solving.searching import Search
from server.solving.state import State

SAMPLING_FIELDS = ("temperature", "top_p", "max_tokens", "seed")
SYSTEM_ROLES = ("system", "developer")


def plan_search(body: ChatRequest | CompletionRequest, state: State, client: Client, arrived: float) -> Search:
    """Return the search that a request asks for.

    Raises:
        RequestError: A search cannot honour it, or it cannot be run.
    """
    refuse_unkept(body)
    refuse_unsearchable(body)
    asked, history = _read_chat(body.messages) if isinstance(body, ChatRequest) else (_read_prompt(body), ())
    fields = asked | _sampling(body) | _thoughts(body) | _search(body, state.settings.policy_name)
    with named(body):
        return Search.plan(SolveRequest.model_validate(fields), state, client, arrived, history)


def _search(body: OpenAIRequest, policy: str) -> dict[str, Any]:
    named = search_of(body.model, policy)
    options = (body.search or SearchOptions()).model_dump(exclude_unset=True)
    if body.deadline_s is not None:
        options = {"deadline_s": body.deadline_s} | options
        if options["deadline_s"] != body.deadline_s:
            message = (
                f"deadline_s: differs from search.deadline_s, which is {options['deadline_s']:g}; send one of the two"
            )
            raise RequestError(message, "deadline_s")
    for name in named.keys() & options.keys():
        message = f"search.{name}: already set by the name of the model; omit it"
        raise RequestError(message, f"search.{name}")
    return {"include": set()} | named | options


def _sampling(body: OpenAIRequest) -> dict[str, Any]:
    values = {name: getattr(body, name) for name in SAMPLING_FIELDS}
    newer = body.max_completion_tokens if isinstance(body, ChatRequest) else None
    if newer is not None:
        if values["max_tokens"] not in (None, newer):
            message = f"max_tokens: differs from max_completion_tokens, which is {newer}; send one of the two"
            raise RequestError(message, "max_tokens")
        values["max_tokens"] = newer
    return {name: value for name, value in values.items() if value is not None}


def _thoughts(body: OpenAIRequest) -> dict[str, Any]:
    return {name: value for name in OF_THOUGHTS if (value := getattr(body, name, None)) is not None}


def _read_chat(messages: Sequence[MessageIn]) -> tuple[dict[str, str], tuple[Turn, ...]]:
    """Return the last turn, which is the problem, with the system prompt; and the turns between them."""
    texts = [read_text(index, message) for index, message in enumerate(messages)]
    num_system = next((i for i, message in enumerate(messages) if message.role not in SYSTEM_ROLES), len(messages))
    turns = []
    for index, message in enumerate(messages[num_system:], num_system):
        if message.role not in ("user", "assistant"):
            where = f"messages.{index}.role"
            allowed = "system before all others, then user and assistant"
            raise RequestError(
                f"{where}: {message.role} is not supported here when searching; allowed: {allowed}", where
            )
        turns.append(Turn(message.role, texts[index]))
    if not turns or turns[-1].role != "user":
        raise RequestError("messages: the last message must be the user's when searching", "messages")
    system_prompt = "\n\n".join(text for text in texts[:num_system] if text.strip())
    system = {"system_prompt": system_prompt} if num_system else {}
    return {"problem": turns[-1].text} | system, tuple(turns[:-1])


def _read_prompt(body: CompletionRequest) -> dict[str, str]:
    if not isinstance(body.prompt, str):
        raise RequestError("prompt: a search takes one problem; send a single text", "prompt")
    return {"problem": body.prompt}


@contextmanager
def named(body: ChatRequest | CompletionRequest) -> Iterator[None]:
    """Rename the fields of `POST /solve` to those of the request in the errors of planning and searching."""
    problem = "messages" if isinstance(body, ChatRequest) else "prompt"

    def name(field: str) -> str:
        top = field.partition(".")[0]
        if top in ("problem", "system_prompt"):
            return problem
        return field if top in (*SAMPLING_FIELDS, *OF_THOUGHTS) else f"search.{field}"

    def refused(message: str, field: str) -> RequestError:
        return RequestError(f"{name(field)}: {message.removeprefix(f'{field}: ')}", name(field))

    try:
        yield
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise refused(first["msg"], ".".join(map(str, first["loc"]))) from error
    except HyperparameterError as error:
        raise refused(error.message, error.field) from error
    except RequestError as error:
        raise refused(str(error), error.param) from error
    except ContextOverflowError as error:
        raise RequestError(f"{problem}: {error}", problem, 400, "context_length_exceeded") from error
