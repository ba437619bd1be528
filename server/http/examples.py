"""Requests that run as they stand, and the replies to them, for the document of a service.

The replies were recorded from the demo pair; `python -m tests.server.recorded_examples URL` asks a service for them
anew. What a service would refuse, for its limits or for want of a model, is left out of its document.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.http.errors import ErrorReply
from server.settings import LIMITS, Settings

REPLIES = Path(__file__).with_name("replies.json")
"""By route and name of the example."""

POLICY = "winnow-demo"
"""What the examples call the policy; a service's document has its own name there."""
PROBLEM = "Compute 8 + 6 * 4 - 12."
CHAT = [{"role": "user", "content": PROBLEM}]
RIGHT = "6 * 4 = 24\n\n8 + 24 - 12 = 20\n\nThe answer is \\boxed{20}."
WRONG = ["8 + 6 = 14", "14 * 4 - 12 = 44", "The answer is \\boxed{44}."]
SEARCHED = {"n": 4, "strategy": "weighted_best_of_n"}


@dataclass(frozen=True, slots=True)
class Example:
    """A request.

    Attributes:
        route: That takes it.
        name: Among the examples of its route.
        summary: What it shows.
        body: To a service whose policy is called `POLICY`.
        proposes: Whether it needs a policy.
        judges: Whether it needs a verifier.
    """

    route: str
    name: str
    summary: str
    body: Mapping[str, Any]
    proposes: bool = True
    judges: bool = True

    def request(self, policy: str) -> dict[str, Any]:
        """Return the body for a service whose policy is called `policy`."""
        model = self.body.get("model", "").replace(POLICY, policy, 1)
        return dict(self.body) | ({"model": model} if model else {})

    def runs_on(self, settings: Settings) -> bool:
        """Tell whether a service with these settings answers it."""
        has_models = (settings.has_policy or not self.proposes) and (settings.has_verifier or not self.judges)
        return has_models and _fits(self.body, settings)


EXAMPLES = (
    Example(
        "/solve",
        "auto",
        "A problem and a budget: auto, the default, spends what the problem needs",
        {"problem": PROBLEM, "n": 16, "seed": 7, "include": []},
        judges=False,
    ),
    Example(
        "/solve",
        "beam_search",
        "Beam search, with every candidate and the search tree",
        {"problem": PROBLEM, "strategy": "beam_search", "n": 4, "beam_width": 2, "seed": 7},
    ),
    Example(
        "/solve",
        "stream",
        "A vote as a stream of events",
        {"problem": PROBLEM, "strategy": "majority", "n": 4, "stream": True, "include": []},
        judges=False,
    ),
    Example(
        "/solve/estimate",
        "beam_search",
        "What a search would take, without running it",
        {"problem": PROBLEM, "strategy": "beam_search", "n": 16},
    ),
    Example(
        "/solve/batch",
        "batch",
        "Two problems, each answered on its own",
        {
            "requests": [
                {"problem": PROBLEM, "n": 4, "seed": 7, "include": []},
                {"problem": "What is (21 + 2) + 9 * 2?", "n": 4, "seed": 7, "include": []},
            ]
        },
        judges=False,
    ),
    Example(
        "/v1/chat/completions",
        "plain",
        "The policy itself",
        {"model": POLICY, "messages": CHAT, "max_tokens": 200, "seed": 7},
        judges=False,
    ),
    Example(
        "/v1/chat/completions",
        "searched",
        "A search, asked for by its options",
        {"model": POLICY, "messages": CHAT, "seed": 7, "search": SEARCHED},
    ),
    Example(
        "/v1/chat/completions",
        "by_name",
        "A search, asked for by the name of the model",
        {"model": f"{POLICY}@majority-4", "messages": CHAT, "seed": 7},
        judges=False,
    ),
    Example(
        "/v1/completions",
        "plain",
        "The policy goes on with a text",
        {"model": POLICY, "prompt": "## Step 1: Multiply\n6 * 4 =", "max_tokens": 16, "seed": 7},
        judges=False,
    ),
    Example(
        "/v1/completions",
        "searched",
        "A search that takes the text as its problem",
        {"model": POLICY, "prompt": PROBLEM, "seed": 7, "search": SEARCHED},
    ),
    Example(
        "/v1/responses",
        "plain",
        "The policy itself",
        {"model": POLICY, "input": PROBLEM, "max_output_tokens": 200, "seed": 7},
        judges=False,
    ),
    Example(
        "/v1/responses",
        "searched",
        "A search, asked for by its options",
        {"model": POLICY, "input": PROBLEM, "seed": 7, "search": SEARCHED},
    ),
    Example(
        "/v1/answers/equivalent",
        "pairs",
        "A fraction, and a set written in two ways",
        {"pairs": [{"a": "0.50", "b": "\\frac{1}{2}"}, {"a": "x > 2", "b": "(2, \\infty)"}]},
        proposes=False,
        judges=False,
    ),
    Example(
        "/v1/steps/score",
        "responses",
        "A text, which is cut into steps, and a list of steps",
        {"problem": PROBLEM, "responses": [RIGHT, WRONG]},
        proposes=False,
    ),
    Example(
        "/v1/answers/choose",
        "responses",
        "The best of three responses, two of which agree",
        {"problem": PROBLEM, "responses": [RIGHT, WRONG, WRONG]},
        proposes=False,
    ),
)

REFUSALS: Mapping[int, tuple[str, str | None, str | None]] = {
    400: ("body: not valid JSON: Expecting value", "body", None),
    401: ("authorization: no API key was sent; send Authorization: Bearer KEY", None, "invalid_api_key"),
    404: ("Not Found", None, None),
    408: ("body: arrives too slowly; allowed: 60 s, and no pause of 10 s", "body", None),
    413: ("body: too large; allowed: 2,000,000 bytes", "body", None),
    414: ("url: too long; allowed: 8,192 bytes", "url", None),
    415: ("content-type: text/plain is not served; allowed: application/json", "content-type", None),
    429: ("too many searches are waiting; try again in 3 s", None, "queue_full"),
    431: ("headers: too large; allowed: 32,768 bytes", "headers", None),
    422: ("n: Input should be greater than or equal to 1; allowed: 1 to 1,024", "n", "greater_than_equal"),
    500: ("internal error: the log has the details under the request id", None, None),
    503: ("a model is unavailable; try again in 5 s", None, None),
}
"""By status, what an error says: message, field and code."""


def with_examples(document: dict[str, Any], settings: Settings) -> None:
    """Write the examples that a service answers into its document."""
    replies = json.loads(REPLIES.read_text(encoding="utf-8"))
    for example in EXAMPLES:
        if example.route not in document["paths"] or not example.runs_on(settings):
            continue
        operation = document["paths"][example.route]["post"]
        shown = {"summary": example.summary, "value": example.request(settings.policy_name)}
        operation["requestBody"]["content"]["application/json"].setdefault("examples", {})[example.name] = shown
        if (reply := replies.get(example.route, {}).get(example.name)) is not None:
            answered = operation["responses"]["200"]["content"]["application/json"]
            answered.setdefault("examples", {})[example.name] = {"summary": example.summary, "value": reply}


def with_refusals(document: dict[str, Any]) -> None:
    """Write what errors say into a document: once, and by reference wherever a status is described."""
    for status, (message, param, code) in REFUSALS.items():
        error = ErrorReply(status, message, param, code).body.model_dump()
        value = {"error": error, "request_id": "bdaa82a378644ab7a37b91eb406dadcd"}
        document["components"].setdefault("examples", {})[f"refused_{status}"] = {"value": value}
    for methods in document["paths"].values():
        for operation in methods.values():
            for status in operation["responses"].keys() & set(map(str, REFUSALS)):
                example = {"$ref": f"#/components/examples/refused_{status}"}
                operation["responses"][status]["content"]["application/json"]["examples"] = {"refused": example}


def _fits(part: object, settings: Settings) -> bool:
    """Tell whether nothing in a request is above the limits of a service."""
    if isinstance(part, Mapping):
        sizes = ((settings.most(name), value) for name, value in part.items() if name in LIMITS)
        is_small = all((len(value) if isinstance(value, Sequence) else value) <= most for most, value in sizes)
        return is_small and all(_fits(each, settings) for each in part.values())
    return not isinstance(part, list) or all(_fits(each, settings) for each in part)
