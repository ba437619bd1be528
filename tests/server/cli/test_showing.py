"""What `winnow solve` shows of a reply: at any width, with and without colour, and whatever models wrote."""

import io
import re
from typing import Any

import pytest
from rich.console import Console

from server.cli.showing import as_text, show

STEPS = {
    "0.0": ("6 * 4 = 24, so 8 + 24 - 12\n\n", "The answer is \\boxed{20}.", 0.98, 0.99),
    "0.1": ("6 * 4 = 24, so 8 + 24 - 12\n\n", "The answer is \\boxed{24}.", 0.98, 0.31),
    "1.0": ("8 + 6 = 14, so 14 * 4 - 12\n\n", "The answer is \\boxed{44}.", 0.12, 0.05),
    "1.1": ("8 + 6 = 14, so 14 * 4 - 12\n\n", "The answer is \\boxed{44}.", 0.12, 0.05),
}


def candidate(name: str, **changed: Any) -> dict[str, Any]:
    first, last, *scores = STEPS[name]
    steps = [
        {"text": text, "score": score, "thinking": False} for text, score in zip((first, last), scores, strict=True)
    ]
    answer = re.findall(r"\{(.*)\}", last)[0]
    return {
        "id": name,
        "thinking": None,
        "response": first + last,
        "answer": answer,
        "verified": None,
        "score": scores[-1],
        "finish": "complete",
        "steps": steps,
        "tokens": 1_234,
    } | changed


def node(name: str, text: str, score: float | None, state: str = "complete") -> dict[str, Any]:
    parent = name.rpartition(".")[0] or None
    steps = [{"text": text, "score": score, "thinking": False}]
    return {"id": name, "parent": parent, "steps": steps, "tokens": 9, "score": score, "state": state}


def reply(**changed: Any) -> dict[str, Any]:
    candidates = [candidate(name) for name in STEPS]
    nodes = [
        node("0", STEPS["0.0"][0], 0.98, "expanded"),
        node("1", STEPS["1.0"][0], 0.12, "expanded"),
        node("2", "Let me guess.\n\n", 0.02, "dropped"),
        node("3", "Let me guess.\n\n", 0.02, "dropped"),
        *(node(name, STEPS[name][1], STEPS[name][3]) for name in STEPS),
    ]
    return {
        "id": "1",
        "answer": "20",
        "thinking": None,
        "response": candidates[0]["response"],
        "trial": None,
        "score": 0.99,
        "confidence": 0.977,
        "status": "complete",
        "status_reason": None,
        "strategy": {"name": "beam_search", "n": 4, "beam_width": 2, "reason": "asked for by the request"},
        "votes": [
            {"answer": "20", "count": 1, "weight": 0.99, "strength": None},
            {"answer": "44", "count": 2, "weight": 0.1, "strength": None},
            {"answer": None, "count": 1, "weight": 0.0, "strength": None},
        ],
        "diagnostics": {"warnings": ["only 3 of 4 responses are different"], "stopping": None},
        "usage": {
            "completion_tokens": 1_213,
            "reasoning_tokens": 0,
            "verifier_tokens": 229,
            "verifier_cached_tokens": 1_020,
        },
        "timing": {"queue_s": 0.0, "search_s": 0.38, "total_s": 0.39},
        "candidates": candidates,
        "tree": {"nodes": nodes},
    } | changed


def shown(reply: dict[str, Any], width: int = 120, *, tree: bool = False) -> str:
    console = Console(record=True, width=width, file=io.StringIO())
    show(reply, console, tree=tree)
    return console.export_text()


@pytest.mark.parametrize("width", [60, 120])
def test_the_solution_stands_step_by_step_beside_its_scores(width: int) -> None:
    lines = [" ".join(line.split()) for line in shown(reply(), width).splitlines()]
    start = lines.index("solution")
    assert lines[start + 1 : start + 3] == ["0.98 6 * 4 = 24, so 8 + 24 - 12", "0.99 The answer is \\boxed{20}."]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("tree", [False, True])
def test_nothing_is_wider_than_the_terminal(width: int, tree: bool) -> None:
    long = reply(response="x" * 500, answer="7" * 90, strategy={"name": "auto", "n": 16, "reason": "a reason " * 40})
    for each in (reply(), long | {"candidates": [candidate("0.0", answer="y" * 200, id="0." * 40 + "1")]}):
        assert max(map(len, shown(each, width, tree=tree).splitlines())) <= width


def test_candidates_that_say_the_same_are_listed_once_with_their_number() -> None:
    text = shown(reply())
    assert "4 candidates, 3 different" in text
    assert len(re.findall(r"^ *2 x .*\b44\b", text, re.MULTILINE)) == 1


def test_the_answer_comes_last_with_its_confidence() -> None:
    last = shown(reply()).split("warning")[-1]
    assert re.search(r"answer +20", last)
    assert re.search(r"confidence +98%", last)
    assert "not known" in shown(reply(confidence=None)).splitlines()[-1]


def test_the_bill_is_in_words() -> None:
    assert re.search(r"bill +1,213 tokens generated, 229 judged and 1,020 from the cache", shown(reply()))
    thinking = reply()["usage"] | {"reasoning_tokens": 1_000, "verifier_tokens": 0, "verifier_cached_tokens": 0}
    assert "1,213 tokens generated (1,000 of thoughts), 0 judged" in shown(reply(usage=thinking))
    vain = reply()["usage"] | {"speculative_tokens": 1_100}
    assert "from the cache, 1,100 of them in vain" in shown(reply(usage=vain))


def test_what_auto_decided_and_why_is_said() -> None:
    reason = "auto: weighted_best_of_n-4 was 97% sure (difficulty 1 of 5), so nothing followed"
    text = shown(reply(strategy={"name": "auto", "n": 16, "reason": reason}))
    assert "auto, N = 16" in text
    assert reason in text


def test_the_tree_marks_the_chosen_path_and_dims_what_was_dropped() -> None:
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True, color_system="standard")
    show(reply(), console, tree=True)
    coloured = console.export_text(styles=True, clear=False)
    lines = [line for line in console.export_text().splitlines() if re.search(r"[├└]── ", line)]
    assert [line.count("> ") for line in lines].count(1) == 2
    assert "> 0.98" in lines[0]
    assert "6 * 4 = 24" in lines[0]
    (dropped,) = [line for line in lines if "guess" in line]
    assert re.search(r"2 x 0\.02 .*dropped", dropped)
    assert re.search(r"\x1b\[2m[^\n]*guess", coloured)


def test_a_pipe_gets_plain_lines_that_are_not_wrapped() -> None:
    long = "The answer is " + "1 + " * 200 + "\\boxed{20}."
    chosen = candidate("0.0", response=long, steps=[{"text": long, "score": 0.9, "thinking": False}])
    text = as_text(reply(response=long, candidates=[chosen]), tree=True)
    assert long in text
    assert "\x1b" not in text
    assert not re.search(r"[ \t]$", text, re.MULTILINE)


HOSTILE = "\x1b[2J\x1b]0;owned\x07 [bold red]a[/] \u202eright\u202c \u200bb \r \x9b1m :smile: \ud800"


@pytest.mark.parametrize("tree", [False, True])
def test_text_of_a_model_moves_nothing_and_is_all_to_be_seen(tree: bool) -> None:
    told = candidate(
        "0.0", response=HOSTILE, answer=HOSTILE, steps=[{"text": HOSTILE, "score": 0.5, "thinking": False}]
    )
    evil = reply(
        answer=HOSTILE,
        response=HOSTILE,
        candidates=[told],
        status="degraded",
        status_reason=HOSTILE,
        strategy={"name": "auto", "n": 1, "reason": HOSTILE},
        votes=[{"answer": HOSTILE, "count": 1, "weight": 0.5, "strength": None}],
        diagnostics={"warnings": [HOSTILE], "stopping": None},
        trial={"outcome": "failed", "detail": HOSTILE, "seconds": 0.1},
        tree={"nodes": [node("0", HOSTILE, 0.5)]},
    )
    for text in (shown(evil, tree=tree), as_text(evil, tree=tree)):
        assert not set(text) & set("\x1b\x07\x9b\r\u202e\u202c\u200b\ud800")
        assert "\\x1b[2J" in text
        assert "[bold red]a[/]" in text
        assert ":smile:" in text


def test_thoughts_are_counted_and_not_listed() -> None:
    steps = [
        {"text": "Hm, let me think.\n\n", "score": None, "thinking": True},
        {"text": "\\boxed{20}", "score": 0.9, "thinking": False},
    ]
    text = shown(reply(response="\\boxed{20}", candidates=[candidate("0.0", response="\\boxed{20}", steps=steps)]))
    assert "let me think" not in text
    assert "(19 characters of thoughts before it" in text


def test_where_nothing_was_found_that_is_said() -> None:
    text = shown(
        reply(
            answer=None,
            response=None,
            score=None,
            confidence=None,
            candidates=[],
            votes=[],
            tree={"nodes": []},
            status="deadline",
        ),
        tree=True,
    )
    assert re.search(r"answer +none was found", text)
    assert re.search(r"status +deadline", text)


def test_a_reply_without_a_verifier_has_no_scores() -> None:
    unjudged = candidate("0.0", score=None, steps=[{"text": "x\n\n\\boxed{20}", "score": None, "thinking": False}])
    votes = [{"answer": "20", "count": 1, "weight": None, "strength": None}]
    text = shown(reply(score=None, response=unjudged["response"], candidates=[unjudged], votes=votes))
    assert not re.search(r"weight|score|steps", text)


def test_hundreds_of_candidates_are_counted_and_not_listed() -> None:
    many = [candidate("0.0", id=str(i), response=f"{i}", answer=f"{i}") for i in range(256)]
    text = shown(reply(candidates=many, votes=[]))
    assert "256 candidates" in text
    assert "and 236 more" in text
    assert len(text.splitlines()) < 50
