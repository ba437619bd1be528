"""The events of streams, as they cross the wire: of `POST /solve` (server/stream.md) and of `POST /v1/steps/score`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, Field

from server.schemas import ErrorResponse, Shown, SolveResponse, Usage, VoteOut, Wire

VERSION: Literal[2] = 2
"""Of the events of `POST /solve`: a higher one changes what an event or a field means, and does not merely add some."""


class RoundEvent(Wire):
    """The search tree becomes deeper."""

    round: int = Field(description="Sequential expansions so far, from 1.")


class StepEvent(Wire):
    """A step of a node; replaces an earlier one with the same node and index."""

    node: str
    index: int = Field(description="Place of the step in the response, from 0.")
    text: str
    score: float | None = Field(description="Null until it is judged.")
    thinking: bool = Field(description="Whether it is of the thoughts.")


class CandidateEvent(Wire):
    """A node of the search tree as it is now; replaces an earlier one with the same id."""

    id: str = Field(description="Which child it is at each expansion, joined by dots.")
    parent: str | None = Field(description="Null for children of the root.")
    score: float | None = None
    state: Literal["growing", "complete", "truncated", "stopped", "lost", "dropped"] = Field(
        description="Lost: a model failed, and the candidate is no longer in the tree. Dropped: it is not continued."
    )
    answer: str | None = None
    verified: bool | None = None
    tokens: int = Field(description="Generated since its parent.")


class StartEvent(Wire):
    """What is searched, and how; the first event."""

    version: Literal[2] = VERSION
    id: str = Field(description="Of the request, as in the reply.")
    problem: str
    strategy: dict[str, Shown] = Field(description="Name, n and values, as in the reply, without the reason.")
    policy: str = Field(description="Name of the policy.")
    verifier: str | None = Field(description="Name of the verifier; null where nothing is judged.")
    selection: str = Field(description="How the answer is chosen among the candidates.")
    aggregation: str | None = Field(description="From step scores to a score; null where nothing is judged.")


class QueueEvent(Wire):
    """The place in the queue, whenever it changes."""

    place: int = Field(description="From 1, the next to run; 0 once the search runs.")
    length: int = Field(description="Searches that wait.")
    wait_s: float | None = Field(description="Seconds until it probably runs; null while no search has ended yet.")


class DecisionEvent(Wire):
    """What the strategy found out and decided; a later one replaces it."""

    values: dict[str, Shown] = Field(description="As in the reply's `strategy`.")
    reason: str = Field(description="In words: what was decided, or what the search does now.")
    confidence: float | None = Field(description="Calibrated probability that the answer is right, if it is known.")


class SearchStepEvent(StepEvent):
    """A step of a node, with what it cost; replaces an earlier one with the same node and index."""

    tokens: int = Field(description="Of this step.")


class DroppedOut(Wire):
    """How a candidate compared that was not continued."""

    rank: int = Field(description="By score among those that were compared, from 1, ties to the earlier one.")
    of: int = Field(description="How many were compared.")
    kept: int = Field(description="How many of them were kept, the best.")
    lowest_kept: float | None = Field(description="Score of the last that was kept; null where none was, or no score.")


class SearchCandidateEvent(CandidateEvent):
    """A node of the search tree as it is now; replaces an earlier one with the same id."""

    dropped: DroppedOut | None = Field(
        None, description="Of one that was dropped after a comparison; null if the search ended before it could grow."
    )


class VotesEvent(Wire):
    """How the vote stands; replaces an earlier one."""

    votes: list[VoteOut] = Field(description="As in the reply, the leader first.")
    outstanding: int = Field(description="Candidates that may still vote.")
    line: float | None = Field(
        description="The leader's count (majority), weight (weighted) or best score (best) from which the outstanding "
        "cannot overtake it, as of now: at the line the answer is decided. Null without a leader, and in a tournament."
    )


class UsageEvent(Wire):
    """The bill so far; replaces an earlier one."""

    share: float = Field(ge=0, le=1, description="Share of the budget that is spent; it never falls, and ends at 1.")
    usage: Usage
    elapsed_s: float = Field(description="Since the request arrived.")


EVENTS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "start": StartEvent,
        "queue": QueueEvent,
        "decision": DecisionEvent,
        "round": RoundEvent,
        "step": SearchStepEvent,
        "candidate": SearchCandidateEvent,
        "votes": VotesEvent,
        "usage": UsageEvent,
        "result": SolveResponse,
        "error": ErrorResponse,
    }
)
"""The data of each event of `POST /solve`, by its name."""
