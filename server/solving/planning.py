"""From a request to the search that it asks for, within the limits of the service, or to an error."""

import asyncio
import json
from dataclasses import dataclass, replace
from typing import Any

from models.interfaces import ENABLE_THINKING, PARAGRAPHS, Policy, Problem, Sampling, Turn
from models.json_values import visible
from models.policy.absent import AbsentPolicy
from models.spelling import did_you_mean
from search.aggregation import Aggregation
from search.answers.checked import CheckingReader
from search.answers.pool import AnswerPool
from search.calibration.table import Budget, Calibrated, Calibration
from search.code.examiner import Examiner
from search.expander import Models
from search.stopping import EarlyStop, Probable
from search.strategies import Row, conversions, request_fields, strategies
from search.strategy import Strategy
from server.errors import RequestError, too_much
from server.schemas import SolveRequest
from server.settings import LIMITS, Settings
from server.solving.forms import Form, tools_of

VERIFIER_ALONE = (
    "POST /v1/steps/score and POST /v1/answers/choose are served; a search needs a policy: set policy_model"
)
LONG_CHARS = 16_384
"""What is longer is tokenised in a thread: a million characters take a second or two."""
OF_THOUGHTS = ("thinking_budget", "reasoning_effort", "chat_template_kwargs")
"""Fields that change how a policy thinks."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A strategy, and why it was chosen.

    Attributes:
        strategy: To run.
        row: Of the strategy.
        reason: In words.
    """

    strategy: Strategy
    row: Row
    reason: str


def plan_strategy(
    request: SolveRequest, calibrated: Calibrated, *, has_verifier: bool = True, form: Form | None = None
) -> Planned:
    """Build the strategy that a request names.

    Args:
        request: Within the limits.
        calibrated: How `auto` spends a budget.
        has_verifier: Whether the service has one.
        form: What responses must look like.

    Raises:
        RequestError: The strategy does not support a field that was set, or cannot respect a limit.
        HyperparameterError: It cannot run with these values.
    """
    row = strategies()[request.strategy]
    _refuse_unread(request, row)
    if form is not None and row.grows_by_steps:
        able = ", ".join(other.name for other in strategies().values() if not other.grows_by_steps)
        field = form.asked.field.partition(".")[0]
        message = f"{row.name} grows responses step by step, and {field} holds for whole ones; use one of {able}"
        raise RequestError(f"strategy: {message}", "strategy")
    if request.early_stop != "probable" and request.stop_probability != Probable().probability:
        message = "stop_probability: not supported with this early_stop; omit it, or set early_stop to probable"
        raise RequestError(message, "stop_probability")
    if request.early_stop == "probable":
        _refuse_probable(request, form)
    if row.fallback is None:
        return Planned(_build(request, row), row, "asked for by the request")
    if form is not None:
        calibrated = Calibrated(None, "the calibration table holds for answers in text")
    return _plan_by_table(request, row, row.stand_in(has_verifier), calibrated)


def _refuse_probable(request: SolveRequest, form: Form | None) -> None:
    """Refuse what decides in another way than votes that can be forecast.

    Raises:
        RequestError: Tests decide, or calls of tools, which vote by name first.
    """
    if request.checker is not None or (form is not None and request.tools):
        what = "checker" if request.checker is not None else "tools"
        raise RequestError(f"early_stop: probable is not supported with {what}; use exact", "early_stop")


def within(request: SolveRequest, settings: Settings) -> SolveRequest:
    """Return the request as this service may run it: what it leaves open is the recipe's, or lowered to the limits.

    Raises:
        RequestError: It asks for more than is allowed.
    """
    fitting = {}
    for name in LIMITS:
        if name not in SolveRequest.model_fields:
            continue
        asked, most, default = getattr(request, name), settings.most(name), SolveRequest.model_fields[name].default
        if not is_read(request, name):
            if asked == most < default:  # the default in the document of this service
                fitting[name] = default
        elif asked is None or asked > most:
            if asked is not None and name in request.model_fields_set:
                raise too_much(name, asked, most)
            fitting[name] = most
    if "max_tokens" not in request.model_fields_set:
        fitting["max_tokens"] = settings.response_tokens
    return request.model_copy(update={"steps": request.steps or settings.steps, **fitting})


def cost_of(request: SolveRequest, context: int, settings: Settings, form: Form | None = None) -> int:
    """Return the most tokens that a search may generate: N responses, and k rollout steps for each of their steps.

    A byte of a grammar counts as a token, as in plain requests.

    Args:
        request: Within the limits.
        context: Longest prompt and response of the policy, in tokens.
        settings: Of the service.
        form: What responses must look like.

    Raises:
        RequestError: It is above the limit.
    """
    cost = num_responses(request) * min(request.max_tokens, context)
    if cost > settings.max_cost:
        raise RequestError(
            f"n: n x max_tokens x (1 + lookahead) is {cost:,} tokens (max_tokens counts as {context:,} at most, the "
            f"context of the policy); allowed: at most {settings.max_cost:,}",
            "n",
        )
    return cost + (len(form.asked.constraint[1]) if form else 0)


def num_responses(request: SolveRequest) -> int:
    """Return how many responses a search may generate."""
    return strategies()[request.strategy].cost(request.n, values_of(request))


def values_of(request: SolveRequest) -> dict[str, Any]:
    """Return the values of the fields that some strategy reads."""
    return {each.name: getattr(request, each.name) for each in request_fields()}


def _build(request: SolveRequest, row: Row) -> Strategy:
    return row.build(request.n, early_stop=early_stop_of(request), **conversions(values_of(request)))


def early_stop_of(request: SolveRequest) -> EarlyStop:
    """Return which work a request leaves out."""
    return Probable(request.stop_probability) if request.early_stop == "probable" else bool(request.early_stop)


def _plan_by_table(request: SolveRequest, row: Row, fallback: Row, calibrated: Calibrated) -> Planned:
    def fall_back(reason: str) -> Planned:
        for each in row.fields:
            if getattr(request, each.name) is not None:
                raise RequestError(f"{each.name}: not supported, since {reason}; omit it", each.name)
        return Planned(_build(request, fallback), fallback, f"{row.name}: {reason}, so {fallback.name}")

    table = calibrated.table
    if table is None:
        return fall_back(calibrated.reason)
    if request.system_prompt is not None and (request.system_prompt or None) != table.identity.system_prompt:
        return fall_back("the calibration table holds for another system prompt")
    if request.steps and request.steps.shown() != table.identity.steps:
        return fall_back("the calibration table holds for other steps")
    if changed := [name for name in (*OF_THOUGHTS, "checker") if getattr(request, name) is not None]:
        return fall_back(f"the calibration table holds for searches without {changed[0]}")
    if request.n < table.budgets[0].n:
        return fall_back(f"the smallest budget of the calibration table is {table.budgets[0].n}")
    values = values_of(request)
    budget = _choose_budget(request, values["max_total_tokens"], table)
    n, reason = request.n, row.name
    if budget is not table.budget(request.n):
        n, reason = budget.n, f"{row.name}: N = {budget.n} instead of {request.n} to stay within the limits"
    return Planned(budget.build(n, values["target_confidence"], early_stop=early_stop_of(request)), row, reason)


def _choose_budget(request: SolveRequest, limit: int | None, table: Calibration) -> Budget:
    """Return the largest budget within the limits; if the deadline is too short for all, the smallest."""
    smallest = table.budgets[0]
    if limit is not None and table.budget(request.n, limit) is None:
        allowed = f"at least {smallest.tokens[1]:.0f}, for n = {smallest.n}"
        raise RequestError(f"max_total_tokens: {limit} is too small; allowed: {allowed}", "max_total_tokens")
    return table.budget(request.n, limit, request.deadline_s) or smallest


def plan_problem(request: SolveRequest, policy: Policy, settings: Settings, history: tuple[Turn, ...] = ()) -> Problem:
    """Return the problem of a request, with the turns before it.

    Args:
        request: Within the limits.
        policy: To be asked.
        settings: Of the service.
        history: Turns before the problem.

    Raises:
        RequestError: The policy has no thoughts to limit or to judge, or its template does not read an argument.
    """
    if not policy.thinks:
        for name, default in (("thinking_budget", None), ("judge", "answer")):
            if getattr(request, name) != default:
                raise RequestError(f"{name}: the recipe names no marks of thoughts for this policy; omit it", name)
    if request.judge == "all" and not strategies()[request.strategy].judges:
        raise RequestError(f"judge: strategy {request.strategy} judges nothing; omit it", "judge")
    arguments = _template_arguments(request, policy, settings)
    tools = json.dumps(tools_of(request)) if request.tools and "tools" in policy.template_arguments else None
    return Problem(request.problem, request.system_prompt, history, arguments, tools)


def _template_arguments(
    request: SolveRequest, policy: Policy, settings: Settings
) -> tuple[tuple[str, str | int | float | bool | None], ...]:
    """Return the arguments of the chat template, in the order of their names.

    As in vLLM, an effort is also a word on whether to think at all, where a template knows that one.

    Raises:
        RequestError: The recipe does not allow one, or the template does not read it.
    """
    arguments = dict(request.chat_template_kwargs or {})
    for name in arguments:
        if name not in (settings.chat_template_keys or ()):
            keys, where = settings.chat_template_keys or (), "chat_template_kwargs"
            free = set(keys) & policy.template_arguments - set(arguments)
            allowed = did_you_mean(name, free, f"allowed: {', '.join(keys) or 'none'}")
            raise RequestError(f"{where}: {visible(name)} is not allowed by the recipe; {allowed}", where)
        if name not in policy.template_arguments:
            where = "chat_template_kwargs"
            raise RequestError(f"{where}: the chat template of the policy does not read {name}; omit it", where)
    if (effort := request.reasoning_effort) is not None:
        meant = {"reasoning_effort": effort, ENABLE_THINKING: effort != "none"}
        read = {name: value for name, value in meant.items() if name in policy.template_arguments}
        if not read:
            raise RequestError(
                "reasoning_effort: the chat template of the policy does not read it; omit it", "reasoning_effort"
            )
        arguments = read | arguments
    return tuple(sorted(arguments.items()))


async def count_prompt_tokens(problem: Problem, policy: Policy) -> int:
    """Return the tokens of a prompt, counted where that does not hold the event loop up.

    Raises:
        ContextOverflowError: The problem leaves no room for a response.
        PromptTooLongError: It is longer than the engine is to read.
    """
    said = (problem.text, problem.system_prompt or "", *(turn.text for turn in problem.history))
    count = policy.count_prompt_tokens
    return await asyncio.to_thread(count, problem) if sum(map(len, said)) > LONG_CHARS else count(problem)


def plan_sampling(request: SolveRequest, form: Form | None = None) -> Sampling:
    """Return how to sample the responses."""
    rule = request.steps.rule if request.steps else PARAGRAPHS
    return Sampling(
        request.temperature,
        request.top_p,
        request.max_tokens,
        request.seed,
        rule,
        request.thinking_budget,
        form.asked.constraint if form else None,
    )


def require_policy(policy: Policy) -> None:
    """See that the service has a policy.

    Raises:
        RequestError: It has not.
    """
    if isinstance(policy, AbsentPolicy):
        raise RequestError(f"problem: policy_model is none; {VERIFIER_ALONE}", "problem", code="no_policy")


def plan_models(request: SolveRequest, models: Models, settings: Settings, form: Form | None = None) -> Models:
    """Return the models with the reader of answers that a request needs.

    Raises:
        RequestError: There is no policy, the verifier cannot serve the strategy, or the service not the check.
    """
    require_policy(models.policy)
    if (reason := strategies()[request.strategy].lacks(models.verifier)) is not None:
        raise RequestError(f"strategy: {reason}", "strategy")
    if request.checker is not None or request.tests is not None:
        return replace(models, examiner=_plan_tests(request, models, settings))
    if form is not None:
        return replace(models, reader=form.reader)
    if request.verify is None:
        return models
    return replace(models, reader=CheckingReader(answer_pool(models), request.problem))


def _plan_tests(request: SolveRequest, models: Models, settings: Settings) -> Examiner:
    if request.checker is None:
        raise RequestError("tests: nothing runs them; set checker to unit_tests", "tests")
    if models.tester is None:
        message = "checker: this service runs no programs; omit it, or set sandbox of the service (search/code.md)"
        raise RequestError(message, "checker")
    if request.tests is None:
        raise RequestError("tests: checker unit_tests needs them, Python with assert statements", "tests")
    if request.verify is not None:
        raise RequestError("verify: not supported with checker unit_tests; omit it", "verify")
    return Examiner(models.tester, request.tests, total_s=settings.tests_total_s, tests_all=not request.early_stop)


def answer_pool(models: Models) -> AnswerPool:
    """Return the reader of answers of the service."""
    assert isinstance(models.reader, AnswerPool)  # noqa: S101 - the composition root makes it so
    return models.reader


def plan_aggregation(request: SolveRequest) -> Aggregation:
    """Return how the scores of steps become the score of a response."""
    return Aggregation(values_of(request)["aggregation"])


def is_read(request: SolveRequest, name: str) -> bool:
    """Return whether the strategy of a request reads a field; fields outside the strategies' table are read by all."""
    return strategies()[request.strategy].reads(name) or all(each.name != name for each in request_fields())


def _refuse_unread(request: SolveRequest, row: Row) -> None:
    for each in request_fields():
        if not row.reads(each.name) and getattr(request, each.name) != SolveRequest.model_fields[each.name].default:
            others = [other.name for other in strategies().values() if other.reads(each.name)]
            use = " or ".join(filter(None, [", ".join(others[:-1]), others[-1]]))
            message = f"{each.name}: not supported by strategy {row.name}; omit it or use {use}"
            raise RequestError(message, each.name)
