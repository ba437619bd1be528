"""How many replicas a deployment of an engine is to have: by the tokens that they hold, not by their requests.

Ray Serve pickles this module into its controller, where winnow need not be installed: it imports the standard library
only.
"""

from typing import Any

TOKENS = "tokens_in_flight"
"""What replicas call the figure: tokens of the prompts and responses of all requests that they hold."""


class TokensInFlight:
    """An autoscaling policy of Ray Serve's: as many replicas as keep each at `target_tokens`.

    A request for a score holds 60 tokens or 6,000, and a request for a step as many as its prefix has: the tokens say
    how full a KV cache is, and how long the next request waits. Ray applies its own delays, factors and bounds.

    Args:
        target_tokens: That one replica is to hold.
    """

    def __init__(self, target_tokens: int) -> None:
        if target_tokens < 1:
            raise ValueError(f"target_tokens must be at least 1, not {target_tokens}")
        self._target_tokens = target_tokens

    def __call__(self, context: Any) -> tuple[float, dict[str, Any]]:
        """Return how many replicas there should be, and no state."""
        held = (context.aggregated_metrics or {}).get(TOKENS, {})
        return sum(held.values()) / self._target_tokens, {}
