"""A search that was made, as its reply tells it: the nodes of its tree, and what was asked.

A reply with candidates holds the independent responses; one with the tree as well holds everything. Knows neither
files nor how a reply came; the reply is one of the service's, of the shape that its schema says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.interfaces import Finish, Step, response_of

FINISHES = {
    "complete": Finish.END,
    "truncated": Finish.LENGTH,
    "expanded": Finish.STEP,
    "dropped": Finish.STEP,
    "stopped": Finish.STEP,
}
"""By how a reply says that a node ended."""

Path = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StoredStep:
    """A step of a stored response.

    Attributes:
        text: With its delimiter.
        score: The verifier's, in [0, 1]; None where it was not judged.
        is_thinking: Whether it is of the thoughts.
    """

    text: str
    score: float | None
    is_thinking: bool = False


@dataclass(frozen=True, slots=True)
class StoredNode:
    """A node of the tree of a stored search.

    Attributes:
        path: Its place.
        steps: Since its parent, without blank ones.
        finish: Why the last one ended.
        score: Of the response so far; None where nothing was judged.
        num_tokens: Generated since its parent.
        is_stopped: Whether its growth was stopped because it could not be chosen.
        answer: What a complete response states; None for nothing.
        is_verified: Whether the answer passed a check; None where it was not checked.
    """

    path: Path
    steps: tuple[StoredStep, ...]
    finish: Finish
    score: float | None
    num_tokens: int
    is_stopped: bool = False
    answer: str | None = None
    is_verified: bool | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the policy ended the response."""
        return self.finish is Finish.END


@dataclass(frozen=True, slots=True)
class StoredSearch:
    """A search that was made.

    Attributes:
        problem: What was asked.
        system_prompt: Instruction to the policy, where the request gave one.
        strategy: What ran, and its hyperparameters, as the reply tells them.
        nodes: By path, parents before their children.
        answer, response, thinking, score: Of what was chosen.
        golds: The right answers, where they are known.
        level: Difficulty of the problem, where it is known.
        made: What made it: policy, verifier, version, commit.
    """

    problem: str
    system_prompt: str | None
    strategy: Mapping[str, Any]
    nodes: Mapping[Path, StoredNode]
    answer: str | None
    response: str | None
    thinking: str | None
    score: float | None
    golds: tuple[str, ...] = ()
    level: int | None = None
    made: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the strategy."""
        return str(self.strategy["name"])

    @property
    def n(self) -> int:
        """N, the budget."""
        return int(self.strategy["n"])

    @property
    def seed(self) -> int | None:
        """Of the request; None where it drew freely."""
        seed: int | None = self.strategy["seed"]
        return seed

    @property
    def leaves(self) -> tuple[StoredNode, ...]:
        """Nodes without children: where responses end."""
        parents = {path[:-1] for path in self.nodes}
        return tuple(node for path, node in self.nodes.items() if path not in parents)

    @property
    def is_flat(self) -> bool:
        """Whether its responses are independent of each other."""
        return all(len(path) == 1 for path in self.nodes)

    @property
    def chosen(self) -> StoredNode | None:
        """The node of the chosen response; None where no such node is stored."""
        leaves = (leaf for leaf in self.leaves if leaf.score == self.score and leaf.answer == self.answer)
        return next(
            (leaf for leaf in leaves if _shown(self.steps_to(leaf.path)) == (self.response or "").strip()), None
        )

    def steps_to(self, path: Path) -> tuple[StoredStep, ...]:
        """Return the steps of the response that ends at a node."""
        prefixes = (path[:length] for length in range(1, len(path) + 1))
        return tuple(step for prefix in prefixes if prefix in self.nodes for step in self.nodes[prefix].steps)


def of_reply(
    problem: str,
    reply: Mapping[str, Any],
    *,
    system_prompt: str | None = None,
    golds: Sequence[str] = (),
    level: int | None = None,
    made: Mapping[str, Any] | None = None,
) -> StoredSearch:
    """Return the search that a reply tells of; one without candidates has no nodes."""
    ended = {said["id"]: said for said in reply.get("candidates") or ()}
    tree = reply.get("tree")
    told = tree["nodes"] if tree else [said for said in ended.values() if "." not in said["id"]]
    nodes = [_node(said, ended.get(said["id"])) for said in told]
    return StoredSearch(
        problem=problem,
        system_prompt=system_prompt,
        strategy=reply["strategy"],
        nodes={node.path: node for node in sorted(nodes, key=lambda node: node.path)},
        answer=reply["answer"],
        response=reply["response"],
        thinking=reply.get("thinking"),
        score=reply["score"],
        golds=tuple(golds),
        level=level,
        made=made or {},
    )


def _node(said: Mapping[str, Any], ended: Mapping[str, Any] | None) -> StoredNode:
    state = said.get("state") or said["finish"]
    return StoredNode(
        path=path_of(said["id"]),
        steps=tuple(StoredStep(step["text"], step["score"], step["thinking"]) for step in said["steps"]),
        finish=FINISHES[state],
        score=said["score"],
        num_tokens=said["tokens"],
        is_stopped=state == "stopped",
        answer=ended["answer"] if ended else None,
        is_verified=ended["verified"] if ended else None,
    )


def path_of(name: str) -> Path:
    """Return the place in the tree that a node's name says."""
    return tuple(map(int, name.split(".")))


def response_text(steps: Sequence[StoredStep]) -> str:
    """Return what stands behind the thoughts."""
    return response_of([Step(step.text, (), Finish.STEP, is_thinking=step.is_thinking) for step in steps])


def _shown(steps: Sequence[StoredStep]) -> str:
    return response_text(steps).strip()
