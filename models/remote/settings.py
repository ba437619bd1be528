"""Where the servers of a model are, and how they are asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

Routing = Literal["affinity", "spread"]


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """A model that servers elsewhere run.

    Attributes:
        model: Directory with the model's tokenizer and config.json; its weights are not read.
        name: What metrics and errors call the engine.
        urls: Of the servers, at least one; all serve the same model.
        api_key: What the servers ask for; None sends none.
        routing: Which server gets a request: "affinity" keeps the requests of a problem on one, whose cache holds their
            prefix; "spread" takes the one with the fewest.
        max_model_len: Longest prompt and response, in tokens; None takes the servers'.
        silence_s: A request of which nothing comes for so long is lost.
        has_weights: They are not on this machine.
    """

    model: Path
    name: str
    urls: tuple[str, ...]
    api_key: str | None = None
    routing: Routing = "affinity"
    max_model_len: int | None = None
    silence_s: float = 60.0

    has_weights: ClassVar[bool] = False
