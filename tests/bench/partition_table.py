"""What is told of requests that were sent with and without a cut: a column for each time that they were sent."""

from collections import Counter
from dataclasses import dataclass

from rich.table import Table

from tests.bench.schedule import CHAT, RETRY_LATER, RETRY_LATER_STREAMED, Reply

REFERENCE = "no cut"
TOLD = ("complete", "deadline", "degraded", RETRY_LATER, RETRY_LATER_STREAMED)


@dataclass(frozen=True, slots=True)
class Run:
    """The requests once, with or without a cut; times are seconds after the start.

    Attributes:
        replies: What became of them, in the order of the requests.
        cut_at_s: When the cut began.
        healed_at_s: When it was over.
        ready: When `/readyz` was asked, and whether it said yes.
        counted: Requests, as the service counted them.
        left: Work that did not end.
        settled_s: When the last of the work ended.
    """

    replies: list[Reply]
    cut_at_s: float
    healed_at_s: float
    ready: list[tuple[float, bool]]
    counted: int
    left: dict[str, float]
    settled_s: float

    @property
    def waiting(self) -> list[Reply]:
        """Those that the end of the cut found waiting."""
        return [each for each in self.replies if each.request.at_s < self.healed_at_s < each.ended_s]


def tabulate(runs: dict[str, Run], title: str) -> Table:
    """One column a run; that without a cut is what the others are compared with."""
    table = Table("", *runs, title=title)
    columns = [figures(each, runs[REFERENCE], is_cut=not name.startswith(REFERENCE)) for name, each in runs.items()]
    for measure in columns[0]:
        table.add_row(measure, *(column[measure] for column in columns))
    return table


def figures(each: Run, reference: Run, *, is_cut: bool) -> dict[str, str]:
    """What is told of a run."""
    outcomes = Counter(reply.outcome for reply in each.replies)
    others = [f"{number} {outcome}" for outcome, number in outcomes.items() if outcome not in TOLD]
    pairs = [
        (reply.text, before.text)
        for reply, before in zip(each.replies, reference.replies, strict=True)
        if reply.outcome == before.outcome == "complete"
    ]
    searches = [reply for reply in each.replies if reply.request.kind != CHAT]
    late = [r.seconds - r.request.body["deadline_s"] for r in searches if r.request.body["deadline_s"]]
    waited = [reply.ended_s - each.healed_at_s for reply in each.waiting]
    unready = [seconds for seconds, is_ready in each.ready if not is_ready]
    spell = f"{unready[0] - each.cut_at_s:.1f}, {unready[-1] - each.healed_at_s:.1f} s" if unready else "never"
    begun = sum(each.cut_at_s <= reply.request.at_s < each.healed_at_s for reply in each.replies)
    return {
        **{outcome: str(outcomes[outcome]) for outcome in TOLD},
        "anything else": "; ".join(others) or "none",
        "same as without": f"{sum(a == b for a, b in pairs)} of {len(pairs)}",
        "right answers": f"{sum(reply.text == reply.request.answer for reply in searches)} of {len(searches)}",
        "slowest": f"{max(reply.seconds for reply in each.replies):.1f} s",
        "latest after a deadline": f"{max(late, default=0.0):+.1f} s",
        "begun during the cut": str(begun) if is_cut else "",
        "waiting at the heal": str(len(waited)) if is_cut else "",
        "first, last of them after it": f"{min(waited):.1f}, {max(waited):.1f} s" if is_cut and waited else "",
        "/readyz says 503 from after the cut, to after the heal": spell,
        "sent, counted": f"{len(each.replies)}, {each.counted}",
        "work left": str(each.left or "none"),
        "at rest after the last reply": f"{each.settled_s - max(r.ended_s for r in each.replies):.1f} s",
    }
