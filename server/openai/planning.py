"""From an OpenAI request to the search that it asks for, or to an error that says why it cannot be served."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, get_args

from pydantic import ValidationError

from models.errors import ContextOverflowError, PromptTooLongError
from models.interfaces import ENABLE_THINKING, Turn
from search.errors import HyperparameterError
from server.errors import RequestError
from server.keys import Client
from server.openai.items import ItemIn, ResponseRequest
from server.openai.names import search_of
from server.openai.neutral import FORMLESS, TOOLLESS, asks_for_nothing
from server.openai.refusals import read_text, refuse_unkept, refuse_unsearchable
from server.openai.requests import ChatRequest, CompletionRequest, OpenAIRequest, SearchOptions
from server.schemas import Effort, SolveRequest
from server.solving.forms import FORM_FIELDS
from server.solving.planning import OF_THOUGHTS
from server.solving.searching import Search
from server.solving.state import State

SAMPLING_FIELDS = ("temperature", "top_p", "seed")
SYSTEM_ROLES = ("system", "developer")


class Said(NamedTuple):
    """A message of a request, and the field that holds it."""

    where: str
    role: Literal["system", "developer", "user", "assistant", "tool"]
    text: str


def plan_search(body: OpenAIRequest, state: State, client: Client, arrived: float) -> Search:
    """Return the search that a request asks for.

    Raises:
        RequestError: A search cannot honour it, or it cannot be run.
    """
    refuse_unkept(body)
    refuse_unsearchable(body)
    asked, history = _read(body)
    fields = (
        asked
        | _sampling(body)
        | _thoughts(body, state.models.policy.template_arguments)
        | _form(body)
        | _search(body, state.settings.policy_name, state.models.verifier)
    )
    with named(body):
        return Search.plan(SolveRequest.model_validate(fields), state, client, arrived, history)


def _read(body: OpenAIRequest) -> tuple[dict[str, str], tuple[Turn, ...]]:
    """Return the problem of a request, and the turns before it."""
    match body:
        case ChatRequest():
            chat = [
                Said(f"messages.{index}", message.role, read_text(index, message))
                for index, message in enumerate(body.messages)
            ]
            return _read_chat(chat, body.problem_field)
        case ResponseRequest():
            instructions = [Said("instructions", "system", body.instructions)] if body.instructions else []
            return _read_chat([*instructions, *_read_items(body.input)], body.problem_field)
        case CompletionRequest(prompt=str(text) | [str(text)]):
            return {"problem": text}, ()
    raise RequestError("prompt: a search takes one problem; send a single text", "prompt")


def _read_items(items: Sequence[ItemIn]) -> Iterator[Said]:
    """Yield the messages; thoughts of earlier turns are left out, as templates do."""
    for index, item in enumerate(items):
        where = f"input.{index}"
        if item.type == "reasoning":
            continue
        if item.type != "message" or item.role is None:
            message = f"{where}.type: {item.type} is not supported when searching; allowed: message, reasoning"
            raise RequestError(message, f"{where}.type")
        yield Said(where, item.role, item.text)


def _search(body: OpenAIRequest, policy: str, verifier: object) -> dict[str, Any]:
    named = search_of(body.model, policy, verifier)
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
    values = {"temperature": body.temperature, "top_p": body.top_p, "seed": body.seed, "max_tokens": body.length[1]}
    return {name: value for name, value in values.items() if value is not None}


def _thoughts(body: OpenAIRequest, template_arguments: Collection[str]) -> dict[str, Any]:
    """Return what says how to think; an effort that no template reads changes nothing, as without a search."""
    asked = {name: value for name in OF_THOUGHTS if (value := getattr(body, name, None)) is not None}
    is_read = bool({"reasoning_effort", ENABLE_THINKING} & set(template_arguments))
    if not is_read and asked.get("reasoning_effort") in get_args(Effort):
        del asked["reasoning_effort"]  # clients set it whatever the model is
    if not asked.get("chat_template_kwargs"):
        asked.pop("chat_template_kwargs", None)
    return asked


def _form(body: OpenAIRequest) -> dict[str, Any]:
    """Return what responses must look like, without what asks for nothing."""
    asked = {name: value for name, value in body.form.items() if not asks_for_nothing(value, FORMLESS.get(name, ()))}
    toolless = {} if "tools" in asked else TOOLLESS
    return {name: value for name, value in asked.items() if not asks_for_nothing(value, toolless.get(name, ()))}


def _read_chat(chat: Sequence[Said], field: str) -> tuple[dict[str, str], tuple[Turn, ...]]:
    """Return the last turn, which is the problem, with the system prompt; and the turns between them."""
    num_system = next((i for i, said in enumerate(chat) if said.role not in SYSTEM_ROLES), len(chat))
    turns = []
    for where, role, text in chat[num_system:]:
        if role not in ("user", "assistant"):
            allowed = "system before all others, then user and assistant"
            message = f"{where}.role: {role} is not supported here when searching; allowed: {allowed}"
            raise RequestError(message, f"{where}.role")
        turns.append(Turn(role, text))
    if not turns or turns[-1].role != "user":
        raise RequestError(f"{field}: the last message must be the user's when searching", field)
    system_prompt = "\n\n".join(said.text for said in chat[:num_system] if said.text.strip())
    system = {"system_prompt": system_prompt} if num_system else {}
    return {"problem": turns[-1].text} | system, tuple(turns[:-1])


@contextmanager
def named(body: OpenAIRequest) -> Iterator[None]:
    """Rename the fields of `POST /solve` to those of the request in the errors of planning and searching."""
    problem = body.problem_field

    def name(field: str) -> str:
        top = field.partition(".")[0]
        if top in ("problem", "system_prompt"):
            return problem
        if top == "max_tokens":
            return body.length[0]
        is_ours = top not in (*SAMPLING_FIELDS, *OF_THOUGHTS, *FORM_FIELDS) or top == "vote_on"
        return f"search.{field}" if is_ours else body.spelt(field)

    def refused(message: str, field: str) -> RequestError:
        return RequestError(f"{name(field)}: {body.spelt(message.removeprefix(f'{field}: '))}", name(field))

    try:
        yield
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise refused(first["msg"], ".".join(map(str, first["loc"]))) from error
    except HyperparameterError as error:
        raise refused(error.message, error.field) from error
    except RequestError as error:
        raise refused(str(error), error.param) from error
    except PromptTooLongError as error:
        raise RequestError(f"{problem}: {error}", problem, code="prompt_too_long") from error
    except ContextOverflowError as error:
        raise RequestError(f"{problem}: {error}", problem, 400, "context_length_exceeded") from error
