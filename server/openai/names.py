"""The names of models: the policy's own, and `<policy>@<strategy>-<N>` for clients that can only pick a model."""

import re
from typing import Any

from models.spelling import did_you_mean
from search.strategies import MAX_N, strategies, unable
from server.errors import RequestError

LISTED_N = (4, 16, 64)
"""Budgets that are listed; all others up to the largest work as well."""


def list_names(policy: str, verifier: object) -> list[str]:
    """Return the names for `GET /v1/models`: the policy's own, then the strategies that this verifier allows."""
    return [policy, *(f"{policy}@{strategy}-{n}" for strategy in _able(verifier) for n in LISTED_N)]


def search_of(model: str, policy: str, verifier: object) -> dict[str, Any]:
    """Return the strategy and the budget in the name of a model; nothing for the policy itself.

    Args:
        model: As a client calls it.
        policy: What the policy is called.
        verifier: Of the service: what it cannot run is not suggested.

    Raises:
        RequestError: No such model is served.
    """
    if model == policy:
        return {}
    named = re.fullmatch(rf"{re.escape(policy)}@({'|'.join(strategies())})-([1-9]\d{{0,5}})", model, re.ASCII)
    if named is None or int(named[2]) > MAX_N:
        allowed = (
            f"{policy}, or {policy}@STRATEGY-N with STRATEGY one of {', '.join(strategies())} and N 1 to {MAX_N:,}"
        )
        message = f"model: {model!r} is not served; {_meant(model, policy, verifier, f'allowed: {allowed}')}"
        raise RequestError(message, "model", 404, "model_not_found")
    return {"strategy": named[1], "n": int(named[2])}


def require_listed(model: str, policy: str, verifier: object) -> None:
    """See that a model is served with this verifier, or without any.

    Raises:
        RequestError: It is not.
    """
    search = search_of(model, policy, verifier)
    if search and (reason := strategies()[search["strategy"]].lacks(verifier)) is not None:
        raise RequestError(f"model: {reason}", "model", 404, "model_not_found")


def _able(verifier: object) -> list[str]:
    return [name for name in strategies() if name not in unable(verifier)]


def _meant(model: str, policy: str, verifier: object, allowed: str) -> str:
    """Suggest names that are served, with the budget that was asked for where it is one."""
    asked = re.search(r"-([1-9]\d{0,3})$", model, re.ASCII)
    n = min(int(asked[1]), MAX_N) if asked else LISTED_N[1]
    searches, prefix = [f"{policy}@{strategy}-{n}" for strategy in _able(verifier)], f"{policy}@"
    if model.startswith(prefix):
        return did_you_mean(model, searches, allowed, prefix=prefix)
    return did_you_mean(model, searches if "@" in model else [policy], allowed)
