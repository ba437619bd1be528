"""A reply of `POST /solve` for people: the solution step by step, the answer and why, and the whole tree if wanted.

Fits any width, and is as readable without colour. What models and clients wrote stays text: characters that would move
the cursor, colour the screen or turn the direction of reading are spelt out.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from models.glyphs import spelt_out

MAX_ROWS = 20
"""Candidates and answers that are listed; --json has all."""
ROOMY = 80
"""Columns from which on candidates are listed with their names and the scores of all steps."""
UNWRAPPED = 10_000
"""Columns of a file or a pipe."""
ENDS = {"truncated": "cut off at max_tokens", "stopped": "stopped early", "dropped": "dropped"}
"""In words, by how a candidate ended; a complete one needs none."""

NEEDED = frozenset({"response", "answer", "votes", "diagnostics", "usage", "timing", "status"})
"""Fields of a reply, without which it cannot be shown."""

Reply = Mapping[str, Any]


def visible(text: str) -> Text:
    """Return a text of a model or a client, all of it to be seen."""
    return Text(spelt_out(text))


def line_of(text: str, style: str = "") -> Text:
    """Return a text as one line, cut off where there is no room for all of it."""
    return Text(visible(" ".join(text.split())).plain, style=style, no_wrap=True, overflow="ellipsis")


def score_of(score: float | None, digits: int = 2) -> str:
    """Return a score; nothing where there is none."""
    return "" if score is None else f"{score:.{digits}f}"


def as_text(reply: Reply, *, tree: bool = False) -> str:
    """Return a reply as plain lines, none of them wrapped, for a file or a pipe."""
    lines = io.StringIO()
    show(reply, Console(file=lines, width=UNWRAPPED, color_system=None), tree=tree)
    return "\n".join(line.rstrip() for line in lines.getvalue().splitlines())


def show(reply: Reply, console: Console, *, tree: bool = False) -> None:
    """Print a reply.

    Args:
        reply: With its candidates, and its tree where that is to be drawn.
        console: To print to.
        tree: Whether to draw the search tree.
    """
    for title, part in _parts(reply, console.width, tree=tree):
        console.print(Text(title, style="bold"))
        console.print(part, highlight=False)
        console.print()
    facts = _facts(reply)
    facts.add_row("", "")
    _add_answer(facts, reply)
    console.print(facts, highlight=False)


def _parts(reply: Reply, width: int, *, tree: bool) -> Iterator[tuple[str, RenderableType]]:
    """Yield the sections and their titles."""
    alike = _alike(reply.get("candidates") or ())
    chosen = _chosen(reply)
    if reply["response"] is not None and reply["response"] != reply["answer"]:
        yield "solution", _solution(reply, chosen)
    if tree and reply.get("tree"):
        yield "tree", _tree(reply, chosen)
    if alike:
        yield _counted(sum(map(len, alike)), len(alike)), _candidates(alike, chosen, width)
    if reply["votes"]:
        yield "votes", _votes(reply["votes"], width)


def _counted(number: int, num_different: int) -> str:
    if number == 1:
        return "1 candidate"
    alike = ", all alike" if num_different == 1 else f", {num_different} different"
    return f"{number:,} candidates{alike if num_different < number else ''}"


def _alike(candidates: Sequence[Reply]) -> list[list[Reply]]:
    """Return the candidates, those that say the same together, the best first."""
    groups: dict[tuple[Any, ...], list[Reply]] = {}
    for each in candidates:
        key = (each.get("thinking"), each["response"], each["finish"], each["verified"])
        groups.setdefault(key, []).append(each)
    best_first = (sorted(group, key=lambda each: -(each["score"] or 0)) for group in groups.values())
    return sorted(best_first, key=lambda group: (-(group[0]["score"] or 0), -len(group)))


def _chosen(reply: Reply) -> Reply | None:
    """Return the candidate whose response is the reply's; the best of several."""
    alike = [each for each in reply.get("candidates") or () if each["response"] == reply["response"]]
    return max(alike, key=lambda each: each["score"] or 0, default=None)


def _grid(*justify: str) -> Table:
    grid = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for each in justify:
        grid.add_column(justify=each, overflow="fold")  # type: ignore[arg-type]  # one of rich's words
    return grid


def _solution(reply: Reply, chosen: Reply | None) -> RenderableType:
    """Return the steps of the response, each beside its score."""
    grid = _grid("right", "left")
    steps = chosen["steps"] if chosen else ()
    if thoughts := sum(len(step["text"]) for step in steps if step.get("thinking")):
        grid.add_row("", Text(f"({thoughts:,} characters of thoughts before it: --json has them)", style="dim"))
    own = _answering(chosen) if chosen else []
    for step in own:
        grid.add_row(score_of(step["score"]), visible(step["text"].strip("\n")))
    if not own:
        grid.add_row("", visible(reply["response"]))
    return grid


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a table, which is left out where no cell says anything."""

    title: str
    cells: Sequence[str | Text]
    justify: Literal["left", "right"] = "left"
    max_width: int | None = None


def _table(columns: Sequence[_Column], styles: Sequence[str]) -> Table:
    """Return a table of the first rows, each in a style."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    shown = [column for column in columns if any(str(cell).strip() for cell in column.cells)]
    for each in shown:
        table.add_column(each.title, justify=each.justify, max_width=each.max_width, no_wrap=True, overflow="ellipsis")
    for row, style in list(zip(zip(*(each.cells for each in shown), strict=True), styles, strict=True))[:MAX_ROWS]:
        table.add_row(*row, style=style)
    if len(styles) > MAX_ROWS:
        table.caption, table.caption_justify = f"and {len(styles) - MAX_ROWS:,} more: --json has all", "left"
    return table


def _candidates(alike: Sequence[Sequence[Reply]], chosen: Reply | None, width: int) -> Table:
    firsts = [group[0] for group in alike]
    are_chosen = [any(each is chosen for each in group) for group in alike]
    states = zip(firsts, are_chosen, strict=True)
    columns = [
        _Column("", [f"{len(group)} x" if len(group) > 1 else "" for group in alike], "right"),
        _Column("id", [line_of(each["id"]) for each in firsts], max_width=12),
        _Column("answer", [_answer_in(each) for each in firsts], max_width=width // 3),
        _Column("score", [score_of(each["score"], 3) for each in firsts], "right"),
        _Column(
            "steps", [" ".join(score_of(s["score"]) for s in _answering(each)) for each in firsts], max_width=width // 3
        ),
        _Column("tokens", [f"{each['tokens']:,}" for each in firsts], "right"),
        _Column("", [_state(each, is_chosen=is_chosen) for each, is_chosen in states]),
    ]
    shown = [each for each in columns if width >= ROOMY or each.title not in ("id", "steps")]
    return _table(shown, ["bold" if is_chosen else "" for is_chosen in are_chosen])


def _answering(candidate: Reply) -> list[Reply]:
    """Return the steps behind the thoughts."""
    return [step for step in candidate["steps"] if not step.get("thinking")]


def _answer_in(part: Reply) -> Text:
    """Return the answer of a candidate or of votes in a line."""
    return Text("none", style="dim") if part["answer"] is None else line_of(part["answer"])


def _state(candidate: Reply, *, is_chosen: bool) -> str:
    if is_chosen:
        return "chosen"
    return "refuted" if candidate["verified"] is False else ENDS.get(candidate["finish"], "")


def _votes(votes: Sequence[Reply], width: int) -> Table:
    columns = [
        _Column("answer", [_answer_in(each) for each in votes], max_width=width // 2),
        _Column("count", [f"{each['count']:,}" for each in votes], "right"),
        *(_Column(name, [score_of(each.get(name)) for each in votes], "right") for name in ("weight", "strength")),
    ]
    return _table(columns, [""] * len(votes))


def _facts(reply: Reply) -> Table:
    """Return what the answer rests on and what it cost, and what a reader should know of it."""
    grid, found = _grid("left", "left"), reply["diagnostics"]
    if strategy := reply.get("strategy"):
        named = {"n": "N", "beam_width": "M"}
        sizes = "".join(f", {sign} = {strategy[name]}" for name, sign in named.items() if strategy.get(name))
        grid.add_row("strategy", visible(f"{strategy['name']}{sizes}"))
        grid.add_row("because", visible(str(strategy.get("reason", ""))))
    if usage := reply["usage"]:
        grid.add_row("bill", _bill(usage))
    timing = reply["timing"]
    queue = f", {timing['queue_s']:.2f} s of them in the queue" if timing.get("queue_s", 0) >= 0.005 else ""
    grid.add_row("time", f"{timing['total_s']:.2f} s{queue}")
    if stop := found.get("stopping"):
        bound = f"another answer with probability {stop['change_probability_bound']:.3f} at most"
        grid.add_row("stopped", f"{stop['num_candidates']} of {stop['of']} candidates drawn, {bound}")
    if trial := reply.get("trial"):
        grid.add_row("tests", visible(f"{trial['outcome']} {trial['detail'] or ''}"))
    for warning in found["warnings"]:
        grid.add_row(Text("warning", style="yellow"), visible(warning))
    if reply["status"] != "complete":
        told = Text.assemble(reply["status"], " ", visible(reply.get("status_reason") or ""))
        grid.add_row(Text("status", style="yellow"), told)
    return grid


def _bill(usage: Reply) -> str:
    thoughts = f" ({usage['reasoning_tokens']:,} of thoughts)" if usage.get("reasoning_tokens") else ""
    cached = f" and {usage['verifier_cached_tokens']:,} from the cache" if usage.get("verifier_cached_tokens") else ""
    vain = f", {usage['speculative_tokens']:,} of them in vain" if usage.get("speculative_tokens") else ""
    return (
        f"{usage['completion_tokens']:,} tokens generated{thoughts}, {usage['verifier_tokens']:,} judged{cached}{vain}"
    )


def _add_answer(grid: Table, reply: Reply) -> None:
    answer = visible(reply["answer"]) if reply["answer"] is not None else Text("none was found")
    grid.add_row(Text("answer", style="bold"), Text.assemble(answer, style="bold"))
    if (confidence := reply.get("confidence")) is not None:
        grid.add_row(
            "confidence", f"{confidence:.0%}: the probability that it is right, on problems like those measured"
        )
    elif "confidence" in reply:
        grid.add_row("confidence", Text("not known: no such search was measured", style="dim"))


@dataclass(frozen=True, slots=True)
class _Branch:
    """Nodes of the tree that are shown as one: one node, or leaves that are all alike."""

    node: Reply
    number: int
    is_chosen: bool


def _tree(reply: Reply, chosen: Reply | None) -> Tree:
    nodes: Sequence[Reply] = reply["tree"]["nodes"]
    children: dict[str | None, list[Reply]] = {}
    for node in nodes:
        children.setdefault(node["parent"], []).append(node)
    path = _path(chosen["id"] if chosen else None, {node["id"]: node for node in nodes})
    answers = {each["id"]: each["answer"] for each in reply.get("candidates") or ()}
    root = Tree(Text("the problem", style="dim"), guide_style="dim", highlight=False)
    growing: list[tuple[Tree, str | None]] = [(root, None)]
    while growing:
        branch, parent = growing.pop()
        for each in _merged(children.get(parent, ()), children, path):
            label = _label(each, answers.get(each.node["id"]))
            growing.append((branch.add(label), each.node["id"]))
    return root


def _path(name: str | None, nodes: Mapping[str, Reply]) -> frozenset[str]:
    """Return the names from a node up to the root."""
    names = []
    while name is not None and name in nodes:
        names.append(name)
        name = nodes[name]["parent"]
    return frozenset(names)


def _merged(nodes: Sequence[Reply], children: Mapping[str | None, Any], path: frozenset[str]) -> list[_Branch]:
    """Return siblings, leaves that are alike as one; the chosen one before the others, then by score."""
    groups: dict[Any, list[Reply]] = {}
    for node in nodes:
        texts = tuple(step["text"] for step in node["steps"])
        key = node["id"] if node["id"] in children else (texts, node["state"])
        groups.setdefault(key, []).append(node)
    found = [
        _Branch(
            next((each for each in group if each["id"] in path), group[0]),
            len(group),
            any(n["id"] in path for n in group),
        )
        for group in groups.values()
    ]
    return sorted(found, key=lambda each: (not each.is_chosen, -(each.node["score"] or 0)))


def _label(branch: _Branch, answer: str | None) -> Text:
    """Return a node in a line: its mark, how many are alike, its score, how it ended, and what it says."""
    node, steps = branch.node, branch.node["steps"]
    style = "bold" if branch.is_chosen else "dim" if node["state"] == "dropped" else ""
    words = [
        "> " if branch.is_chosen else "",
        f"{branch.number} x " if branch.number > 1 else "",
        f"{score_of(node['score']) or '-'} ",
        f"[{ENDS[node['state']]}] " if node["state"] in ENDS else "",
        f"answer {line_of(answer)}: " if answer is not None else "",
        f"{len(steps)} steps: " if len(steps) > 1 else "",
    ]
    said = " ".join(step["text"] for step in steps[-1:])
    return line_of("".join(words) + said, style)
