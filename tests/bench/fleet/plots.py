"""Pictures of what simulations say, for deploy/sizing.md."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search.strategies import strategies
from tests.bench.fleet.questions import BUCKET_S, PAIRS, QUESTIONS, Case, Found, Results

DPI = 110
DASHES = {20: ":", 60: "-", 400: "--"}
FLEETS = {1: "#56B4E9", 8: "#0072B2", 64: "#000000"}
LOSSES = {"": "#999999", "policy": "#D55E00", "verifier": "#009E73"}
"""Colours of Okabe and Ito, as in all pictures of the project."""


def draw(name: str, results: Results, folder: Path) -> None:
    """Draw the picture of a question, where it has one."""
    if name in PICTURES:
        figure = PICTURES[name](results)
        figure.savefig(folder / f"sizing-{name}.png", dpi=DPI)


def _share(results: Results) -> Figure:
    """Tokens a second against the verifier's GPUs, a panel a pair."""
    figure, panels = _panels("Eight GPUs, all busy: how many for the verifier?", len(PAIRS))
    cases = QUESTIONS["share"]()
    for pair, axes in zip(PAIRS, panels, strict=True):
        for strategy, size in dict.fromkeys((case.strategy, case.step_tokens) for case in cases):
            chosen = [each for each in cases if (each.pair, each.strategy, each.step_tokens) == (pair, strategy, size)]
            points = [(each.num_verifiers, results[each].tokens / 1000) for each in chosen]
            colour = strategies()[strategy].colour
            label = strategy if strategy == "best_of_n" else f"{strategy}, steps of {size} tokens"
            _line(axes, points, color=colour, linestyle=DASHES[size], label=label)
        axes.set_title(f"{pair[:2]} policy, {pair[-2:]} verifier", fontsize="medium")
        axes.set_xlabel("GPUs of eight that the verifier has")
        axes.set_ylim(0)
    panels[0].set_ylabel("thousand tokens generated a second")
    return _finished(figure, panels)


def _knee(results: Results) -> Figure:
    """Throughput and latency against the candidates in flight for each GPU, a column a pair."""
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    figure.suptitle("Beam search, steps of 60 tokens: load, throughput and latency", fontsize="medium")
    panels = figure.subplots(2, len(PAIRS), sharex=True, sharey="row")
    cases = [case for name in ("knee", "large") for case in QUESTIONS[name]() if case in results]
    for column, pair in enumerate(PAIRS):
        for num_gpus, n in dict.fromkeys((case.num_gpus, case.n) for case in cases):
            chosen = [case for case in cases if (case.pair, case.num_gpus, case.n) == (pair, num_gpus, n)]
            chosen = [case for case in chosen if case.in_flight and case.in_flight < 10_000]
            look = {"color": FLEETS[num_gpus], "linestyle": {16: "-", 64: "--", 256: ":"}[n]}
            label = f"{num_gpus} GPU{'s' if num_gpus > 1 else ''}, N = {n}"
            for row, figure_of in enumerate((_speed, _p95)):
                points = [(_candidates(case), figure_of(case, results[case])) for case in chosen]
                _line(panels[row, column], points, label=label, **look)
        panels[0, column].set_title(f"{pair[:2]} policy, {pair[-2:]} verifier", fontsize="medium")
        panels[1, column].set_xlabel("candidates in flight for each GPU")
    for axes in panels.flat:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
    panels[1, 0].set_yscale("log")
    panels[1, 0].set_yticks([3, 5, 10, 20, 40], ["3", "5", "10", "20", "40"])
    panels[1, 0].minorticks_off()
    panels[0, 0].set_ylabel("thousand tokens/s for each GPU")
    panels[1, 0].set_ylabel("p95 latency, s")
    return _finished(figure, list(panels.flat))


def _loss(results: Results) -> Figure:
    """Latency over time, a panel a load."""
    cases = QUESTIONS["loss"]()
    rates = list(dict.fromkeys(case.rate for case in cases))
    figure, panels = _panels("Eight GPUs, 3 for the policy and 5 for the verifier: one is lost for 40 s", len(rates))
    for rate, axes in zip(rates, panels, strict=True):
        for case in (case for case in cases if case.rate == rate):
            lost = case.losses[0].model if case.losses else ""
            series = results[case].series
            points = [((place + 0.5) * BUCKET_S, value) for place, value in enumerate(series)]
            label = f"an engine of the {lost} is lost" if lost else "none is lost"
            axes.plot(*zip(*points, strict=True), color=LOSSES[lost], label=label)
        loss = next(loss for case in cases for loss in case.losses)
        axes.axvspan(loss.at_s, loss.at_s + (loss.back_s or 0), color="#EEEEEE", zorder=0)
        axes.text(loss.at_s + (loss.back_s or 0) / 2, 0.3, "away", ha="center", color="#666666")
        axes.set_title(f"{rate:g} searches a second", fontsize="medium")
        axes.set_xlabel("asked at, s")
    panels[0].set_ylabel("mean latency, s")
    panels[0].set_ylim(0)
    return _finished(figure, panels)


def _candidates(case: Case) -> float:
    return (case.in_flight or 0) * case.n / case.num_gpus


def _speed(case: Case, found: Found) -> float:
    return found.tokens / case.num_gpus / 1000


def _p95(case: Case, found: Found) -> float:
    return found.p95


def _panels(title: str, number: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    return figure, list(figure.subplots(1, number, sharey=True))


def _line(axes: Axes, points: Sequence[tuple[float, float]], **look: Any) -> None:
    if points:
        axes.plot(*zip(*points, strict=True), marker="o", markersize=4, **look)


def _finished(figure: Figure, panels: Sequence[Axes]) -> Figure:
    """The legend stands below the panels, not on their lines."""
    handles: dict[str, Artist] = {}
    for axes in panels:
        axes.grid(alpha=0.3)
        artists, labels = axes.get_legend_handles_labels()
        handles |= dict(zip(labels, artists, strict=True))
    figure.legend(
        [*handles.values()],
        [*handles],
        loc="outside lower center",
        ncols=2 if len(handles) == 4 else 3,
        fontsize="small",
    )
    return figure


PICTURES: dict[str, Callable[[Results], Figure]] = {"share": _share, "knee": _knee, "loss": _loss}
