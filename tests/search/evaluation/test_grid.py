"""The grid of an evaluation: every cell once, and no request that another one's reply could answer."""

from collections.abc import Sequence

import pytest

from search.evaluation.grid import (
    Cell,
    Configuration,
    Value,
    can_vary,
    configurations,
    names,
    plan_jobs,
    shown,
    usual_names,
)

STRATEGIES = names()

SAMPLING = {"temperature": 0.8}


def test_every_cell_is_filled_once() -> None:
    jobs = plan_jobs(STRATEGIES, {1: 2, 16: 1}, SAMPLING, beam_width=4)
    cells = [cell for job in jobs for cell in job.cells]
    grid = {Cell(name, n, seed) for name in STRATEGIES[1:] for n, seed in ((1, 0), (1, 1), (16, 0))}
    assert len(cells) == len(set(cells))
    assert set(cells) == grid | {Cell("greedy", 1, 0)}


def test_subsampling_fills_the_same_cells_with_one_flat_request_a_seed() -> None:
    whole = plan_jobs(STRATEGIES, {4: 2, 16: 1}, SAMPLING, beam_width=4)
    shared = plan_jobs(STRATEGIES, {4: 2, 16: 1}, SAMPLING, beam_width=4, subsample=True)
    assert {c for job in whole for c in job.cells} == {c for job in shared for c in job.cells}
    flat = [job.request for job in shared if job.request["strategy"] == "weighted_best_of_n"]
    assert [(request["n"], request["seed"], request["early_stop"]) for request in flat] == [
        (16, 0, False),
        (4, 1, False),
    ]


def test_the_first_cell_of_a_job_is_the_one_its_request_asks_for() -> None:
    for job in plan_jobs(STRATEGIES[1:], {4: 2, 16: 1}, SAMPLING, beam_width=4, subsample=True):
        assert job.cells[0][:3] == (job.request["strategy"], job.request["n"], job.request["seed"])


def test_a_majority_alone_asks_for_no_verifier() -> None:
    (job,) = plan_jobs(["majority"], {4: 1, 8: 1}, SAMPLING, beam_width=4, subsample=True)
    assert job.request["strategy"] == "majority"


def test_a_tournament_is_a_request_of_its_own_at_every_budget() -> None:
    varied = {"selection": ("best", "tournament")}
    jobs = plan_jobs(["best_of_n", "dvts"], {4: 1, 16: 1}, SAMPLING, beam_width=4, varied=varied, subsample=True)
    asked = sorted((job.request["strategy"], job.request["selection"], len(job.cells)) for job in jobs)
    assert asked == [
        ("best_of_n", "best", 2),
        *[("best_of_n", "tournament", 1)] * 2,
        ("dvts", "best", 2),
        *[("dvts", "tournament", 1)] * 2,
    ]


def test_a_beam_is_no_wider_than_its_budget() -> None:
    jobs = plan_jobs(["dvts"], {1: 1, 2: 1, 16: 1}, SAMPLING, beam_width=4)
    assert {job.request["n"]: job.request["beam_width"] for job in jobs} == {1: 1, 2: 2, 16: 4}


def test_subsampling_searches_the_subtrees_of_a_budget_once() -> None:
    jobs = plan_jobs(["dvts"], {1: 1, 2: 1, 4: 1, 16: 1, 64: 1}, SAMPLING, beam_width=4, subsample=True)
    whole, *others = jobs
    assert [cell.n for cell in whole.cells] == [64, 16, 4]
    assert whole.request["early_stop"] is False
    assert set(whole.request["include"]) == {"candidates", "tree"}
    assert [(job.request["n"], job.request["beam_width"], job.is_shared) for job in others] == [
        (2, 2, False),
        (1, 1, False),
    ]


def test_a_dvts_that_shares_with_no_other_is_stopped_early() -> None:
    (job,) = plan_jobs(["dvts"], {16: 1}, SAMPLING, beam_width=4, subsample=True)
    assert not job.is_shared


def test_beam_search_and_auto_are_never_subsampled() -> None:
    jobs = plan_jobs(["beam_search", "auto"], {4: 1, 16: 1}, SAMPLING, beam_width=4, subsample=True)
    assert [len(job.cells) for job in jobs] == [1] * 4
    assert not any(job.is_shared for job in jobs)


def test_auto_is_asked_for_its_budget_and_chooses_the_rest() -> None:
    (job,) = plan_jobs(["auto"], {16: 1}, SAMPLING, beam_width=4)
    assert job.request == {"strategy": "auto", "n": 16, "seed": 0, "include": [], **SAMPLING}


def test_best_of_n_alone_is_what_is_drawn() -> None:
    (job,) = plan_jobs(["best_of_n"], {4: 1, 8: 1}, SAMPLING, beam_width=4, subsample=True)
    assert job.request["strategy"] == job.cells[0].strategy == "best_of_n"


def test_what_is_measured_by_default_needs_no_special_verifier() -> None:
    assert set(names()) - set(usual_names()) == {"ttt_best_of_n"}


VARIED: dict[str, Sequence[Value]] = {"aggregation": ("last", "min"), "temperature": (0.5, 1.0)}


def test_a_strategy_is_measured_at_every_combination_of_what_it_reads_and_once_without_the_rest() -> None:
    jobs = plan_jobs(["greedy", "majority", "dvts"], {16: 1}, SAMPLING, beam_width=4, varied=VARIED)
    asked = [(job.cells[0].strategy, job.request.get("aggregation"), job.request["temperature"]) for job in jobs]
    assert asked == [
        ("greedy", None, 0.0),
        ("majority", None, 0.5),
        ("majority", None, 1.0),
        *(("dvts", aggregation, temperature) for aggregation in ("last", "min") for temperature in (0.5, 1.0)),
    ]
    assert len({job.cells for job in jobs}) == len(jobs)


def test_a_greedy_sample_depends_on_what_the_policy_is_told_and_not_on_how_it_is_drawn() -> None:
    told: dict[str, Sequence[Value]] = {"system_prompt": (None, "Think."), "top_p": (1.0, 0.5)}
    jobs = plan_jobs(["greedy"], {1: 1}, SAMPLING, beam_width=4, varied=told)
    assert [job.request["system_prompt"] for job in jobs] == [None, "Think."]
    assert all("top_p" not in job.request for job in jobs)


def test_responses_are_shared_by_those_cells_that_draw_and_judge_alike() -> None:
    chosen = ["majority", "best_of_n", "weighted_best_of_n"]
    jobs = plan_jobs(chosen, {4: 1, 16: 1}, SAMPLING, beam_width=4, varied=VARIED, subsample=True)
    assert sorted((len(job.cells), job.request.get("aggregation", "")) for job in jobs) == [
        (2, ""),
        (2, ""),
        *((4, aggregation) for aggregation in ("last", "last", "min", "min")),
    ]
    assert all({cell.varied for cell in job.cells} == {job.cells[0].varied} for job in jobs)


def test_a_varied_beam_is_no_wider_than_its_budget_and_shares_its_own_subtrees() -> None:
    widths: dict[str, Sequence[Value]] = {"beam_width": (2, 8)}
    jobs = plan_jobs(["dvts"], {4: 1, 16: 1, 32: 1}, SAMPLING, beam_width=4, varied=widths, subsample=True)
    assert [([cell.n for cell in job.cells], job.request["beam_width"]) for job in jobs] == [
        ([32, 16, 4], 2),
        ([32, 16], 8),
        ([4], 4),
    ]


@pytest.mark.parametrize("field", can_vary())
def test_every_field_that_can_be_varied_is_read_by_some_strategy(field: str) -> None:
    assert any(each.varied for each in configurations(names(), {field: (1, 2)}))


def test_a_long_value_is_cut_off_and_still_told_from_another() -> None:
    one, two = (shown((("system_prompt", "Think step by step. " * 9 + end),)) for end in "ab")
    assert one != two
    assert one.startswith(",system_prompt=Think step by step.")
    assert len(one) < 70
    assert str(Configuration("dvts", (("lookahead", 0),)).at(16)) == "dvts@16,lookahead=0"
