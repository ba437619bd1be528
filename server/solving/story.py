"""The story of a search, in the events of `server/stream.py`: enough to rebuild it as it was at any moment.

`events.py` tells how the tree grows. This tells the rest: what is searched and how, its place in the queue, what the
strategy decides and which candidates it drops, how the vote stands, and the bill. What the search itself does not say
costs nothing unless a stream is read: votes are counted, and the bill is made out, when an event is due.
"""

import time
from collections.abc import Callable

from asgi_correlation_id import correlation_id

from models.interfaces import Meter
from search.candidate import Candidate
from search.observer import Choice, Decision, Loss
from search.voting import Tally
from server.schemas import SolveResponse, Usage
from server.solving.admission import Standing
from server.solving.event_log import EventLog
from server.solving.events import Events
from server.solving.planning import plan_aggregation
from server.solving.replies import decided, name_of, strategy_of, usage_of, votes_of
from server.solving.searching import Search
from server.solving.share import Share
from server.stream import (
    DecisionEvent,
    DroppedOut,
    QueueEvent,
    SearchCandidateEvent,
    SearchStepEvent,
    StartEvent,
    UsageEvent,
    VotesEvent,
)

USAGE_EVERY_S = 0.25
VOTES_EVERY_S = 0.002
"""For each answer that the last event listed: the longer events are, the fewer."""


class Story(Events):
    """Tells a planned search, from its place in the queue to its reply.

    Args:
        search: To be told.
        log: Takes the events; None: one that `follow` alone reads.
        clock: Seconds; the request's arrival is of the same clock.
    """

    candidate_event = SearchCandidateEvent

    def __init__(
        self, search: Search, log: EventLog | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        super().__init__(log)
        self._clock = clock
        self._arrived = search.arrived
        self._share = Share(search.planned.strategy.n, min(search.request.max_tokens, search.models.policy.context))
        self._final: set[tuple[int, ...]] = set()
        self._usage: Callable[[], Usage] | None = None
        self._tally: Callable[[], Tally[Candidate]] | None = None  # not told yet
        self._votes: VotesEvent | None = None
        self._votes_due = self._usage_due = 0.0
        self._send("start", start_of(search).model_dump_json())

    def on_queue(self, standing: Standing) -> None:
        event = QueueEvent(place=standing.place, length=standing.length, wait_s=standing.wait_s)
        self._send("queue", event.model_dump_json())

    def on_turn(self, prompt_tokens: int, meter: Meter) -> None:
        self._usage = lambda: usage_of(meter, prompt_tokens, len(self._final), self._round)

    def on_growth(self, candidate: Candidate) -> None:
        super().on_growth(candidate)
        path = candidate.path
        parent = path[:-1] if path[:-1] in self._candidates else None
        self._share.grow(path, parent, self._num_tokens[path], has_ended=not candidate.is_growing)
        if candidate.is_final:
            self._final.add(path)
        self._catch_up()

    def on_loss(self, loss: Loss) -> None:
        super().on_loss(loss)
        self._share.lose(loss.path)
        self._final.discard(loss.path)

    def on_choice(self, choice: Choice) -> None:
        lowest = choice.kept[-1].score if choice.kept else None
        for rank, candidate in choice.dropped:
            dropped = DroppedOut(rank=rank, of=len(choice.ranked), kept=choice.num_kept, lowest_kept=lowest)
            self._drop(name_of(candidate.path), dropped)
        is_spent = not any(candidate.is_growing for candidate in choice.kept)
        self._share.drop((candidate.path for _, candidate in choice.dropped), is_spent=is_spent)

    def on_votes(self, tally: Callable[[], Tally[Candidate]]) -> None:
        self._tally = tally
        self._catch_up()

    def on_decision(self, decision: Decision) -> None:
        values, reason = decided(decision, meanwhile=True)
        event = DecisionEvent(values=values, reason=reason, confidence=decision.confidence)
        self._send("decision", event.model_dump_json())

    def on_reply(self, reply: SolveResponse) -> None:
        parents = {event.parent for event in self._last.values()}
        for name in [event.id for event in self._last.values() if event.state == "growing" and event.id not in parents]:
            self._drop(name, None)
        self._tell_votes()
        self._tell_usage(1.0, reply.usage, reply.timing.total_s)

    def _step(self, candidate: Candidate, index: int, score: float | None) -> SearchStepEvent:
        step = candidate.steps[index]
        return SearchStepEvent(
            node=name_of(candidate.path),
            index=index,
            text=step.text,
            score=score,
            thinking=step.is_thinking,
            tokens=len(step.token_ids),
        )

    def _drop(self, name: str, dropped: DroppedOut | None) -> None:
        event = self._last[name] = self._last[name].model_copy(update={"state": "dropped", "dropped": dropped})
        self._send("candidate", event.model_dump_json())

    def _catch_up(self) -> None:
        """Tell what changes all the time, when it is due."""
        now = self._clock()
        if self._tally is not None and now >= self._votes_due:
            self._tell_votes()
            self._votes_due = now + VOTES_EVERY_S * len(self._votes.votes) if self._votes else now
        if self._usage is not None and now >= self._usage_due:
            self._tell_usage(self._share.value, self._usage(), now - self._arrived)
            self._usage_due = now + USAGE_EVERY_S

    def _tell_votes(self) -> None:
        if self._tally is None:
            return
        tally, self._tally = self._tally(), None
        event = VotesEvent(votes=votes_of(tally.votes), outstanding=tally.outstanding, line=tally.line)
        if tally.votes and event != self._votes:
            self._votes = event
            self._send("votes", event.model_dump_json())

    def _tell_usage(self, share: float, usage: Usage, elapsed_s: float) -> None:
        event = UsageEvent(share=share, usage=usage, elapsed_s=round(elapsed_s, 3))
        self._send("usage", event.model_dump_json())


def start_of(search: Search) -> StartEvent:
    """Return what is searched and how."""
    settings, strategy = search.state.settings, search.planned.strategy
    judges = strategy.needs_verifier
    return StartEvent(
        id=correlation_id.get() or "",
        problem=search.request.problem,
        strategy=strategy_of(search.request, search.planned),
        policy=settings.policy_name,
        verifier=settings.verifier_label if judges else None,
        selection=strategy.selection.value,
        aggregation=plan_aggregation(search.request).value if judges else None,
    )
