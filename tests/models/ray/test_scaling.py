"""How many replicas Ray is told to have."""

from types import SimpleNamespace

import pytest

from models.ray.scaling import TOKENS, TokensInFlight


@pytest.mark.parametrize(("held", "wanted"), [((), 0.0), ((500.0,), 0.5), ((3000.0, 1000.0), 4.0)])
def test_the_tokens_of_all_replicas_are_shared_out(held: tuple[float, ...], wanted: float) -> None:
    context = SimpleNamespace(aggregated_metrics={TOKENS: dict(enumerate(held))})
    assert TokensInFlight(1000)(context) == (wanted, {})


def test_before_a_replica_has_reported_none_is_wanted() -> None:
    assert TokensInFlight(1000)(SimpleNamespace(aggregated_metrics=None)) == (0.0, {})


def test_a_target_of_no_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        TokensInFlight(0)
