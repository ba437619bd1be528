"""The names of models: the policy's own, and `<policy>@<strategy>-<N>` for clients that can only pick a model."""

import re
from typing import Any

from search.strategies import MAX_N, strategies
from server.errors import RequestError

LISTED_N = (4, 16, 64)
"""Budgets that are listed; all others up to the largest work as well."""


def list_names(policy: str, verifier: object) -> list[str]:
    """Return the names for `GET /v1/models`: the policy's own, then the strategies that this verifier allows."""
    able = [row.name for row in strategies().values() if row.lacks(verifier) is None]
    return [policy, *(f"{policy}@{strategy}-{n}" for strategy in able for n in LISTED_N)]


def search_of(model: str, policy: str) -> dict[str, Any]:
    """Return the strategy and the budget in the name of a model; nothing for the policy itself.

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
        raise RequestError(f"model: {model!r} is not served; allowed: {allowed}", "model", 404, "model_not_found")
    return {"strategy": named[1], "n": int(named[2])}


def require_listed(model: str, policy: str, verifier: object) -> None:
    """See that a model is served with this verifier, or without any.

    Raises:
        RequestError: It is not.
    """
    search = search_of(model, policy)
    if search and (reason := strategies()[search["strategy"]].lacks(verifier)) is not None:
        raise RequestError(f"model: {reason}", "model", 404, "model_not_found")
