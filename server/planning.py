"""From a request to the search that it asks for, or to an error that says why there is none."""

from dataclasses import replace

from models.interfaces import AdaptableVerifier, AdaptationPlan, Problem, Sampling, Turn
from search.answers.checking.reader import CheckingReader
from search.answers.pool import AnswerPool
from search.beam_search import BeamSearch
from search.best_of_n import BestOfN
from search.dvts import DVTS
from search.expander import Models
from search.strategy import Strategy
from search.voting import Selection
from server.errors import RequestError
from server.schemas import SolveRequest

TREE_FIELDS = ("beam_width", "max_steps", "lookahead", "selection")
UNUSED_FIELDS = {
    "majority": (*TREE_FIELDS, "aggregation", "adapt"),
    "best_of_n": TREE_FIELDS,
    "weighted_best_of_n": TREE_FIELDS,
    "beam_search": ("adapt",),
    "dvts": ("adapt",),
}


def plan_strategy(request: SolveRequest) -> Strategy:
    """Build the strategy that a request names.

    Raises:
        RequestError: The strategy is not served, or has no use for a field that was set.
        HyperparameterError: It cannot run with these values.
    """
    _refuse_unserved(request)
    _refuse_unused(request)
    match request.strategy:
        case "majority":
            return BestOfN(request.n, Selection.MAJORITY, request.early_stop)
        case "best_of_n":
            return BestOfN(request.n, Selection.BEST, request.early_stop, _plan_adaptation(request))
        case "weighted_best_of_n":
            return BestOfN(request.n, Selection.WEIGHTED, request.early_stop, _plan_adaptation(request))
    tree = BeamSearch if request.strategy == "beam_search" else DVTS
    return tree(
        n=request.n,
        beam_width=request.beam_width,
        max_steps=request.max_steps,
        lookahead=request.lookahead,
        selection=Selection(request.selection),
        early_stop=request.early_stop,
    )


def plan_problem(request: SolveRequest, history: tuple[Turn, ...] = ()) -> Problem:
    """Return the problem that a request asks, after what was said before it."""
    return Problem(request.problem, request.system_prompt, history)


def plan_sampling(request: SolveRequest) -> Sampling:
    """Return how a request wants its responses drawn."""
    return Sampling(request.temperature, request.top_p, request.max_tokens, request.seed)


def plan_models(request: SolveRequest, models: Models) -> Models:
    """Return the models with the reader of answers that a request wants.

    Raises:
        RequestError: They cannot do what it asks for.
    """
    if request.adapt is not None and not isinstance(models.verifier, AdaptableVerifier):
        message = "adapt: the verifier of this service cannot learn from candidates; allowed: null"
        raise RequestError(f"{message} (a service with WINNOW_VERIFIER_FORMAT=torch can)", "adapt")
    if request.verify is None:
        return models
    return replace(models, reader=CheckingReader(answer_pool(models), request.problem))


def answer_pool(models: Models) -> AnswerPool:
    """Return what reads the answers of the service."""
    assert isinstance(models.reader, AnswerPool)  # noqa: S101 - the composition root makes it so
    return models.reader


def _plan_adaptation(request: SolveRequest) -> AdaptationPlan | None:
    return AdaptationPlan(request.adapt.steps, request.adapt.learning_rate) if request.adapt else None


def _refuse_unserved(request: SolveRequest) -> None:
    if request.strategy == "auto":
        served = ", ".join(UNUSED_FIELDS)
        raise RequestError(f"strategy: auto is not served yet; allowed: {served}", "strategy")


def _refuse_unused(request: SolveRequest) -> None:
    for name in UNUSED_FIELDS[request.strategy]:
        default = SolveRequest.model_fields[name].default
        if getattr(request, name) != default:
            raise RequestError(f"{name}: {request.strategy} has no use for it; allowed: {default}", name)
