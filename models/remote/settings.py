"""Where the servers of a model are, and how they are asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

Routing = Literal["affinity", "spread"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long servers are waited for, in seconds.

    Attributes:
        start_s: Until the first has loaded the model.
        return_s: A request waits for a server to answer again.
        shun_s: Another server is preferred to one that failed.
        look_every_s: Between two looks at a server that answers.
        look_again_s: Between two looks at one that is left out.
        answer_s: A server that is silent for longer, twice in a row, is left out: once may be the event loop's own
            silence.
        pauses_s: After each of which a request is sent again that a router answers with an error: until it gives up on
            the server that it chose.
        connect_s: A host takes to connect, however busy its server is; the first packet may get lost, it is repeated
            after 1 s.
    """

    start_s: float = 600.0
    return_s: float = 30.0
    shun_s: float = 5.0
    look_every_s: float = 2.0
    look_again_s: float = 0.5
    answer_s: float = 5.0
    pauses_s: tuple[float, ...] = (0.1, 0.4, 1.6, 6.4)
    connect_s: float = 2.0


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
        max_prompt_tokens: Longest prompt; None: as long as the context.
        silence_s: A request of which nothing comes for so long is lost.
        max_thoughts: Most tokens of a verifier's thoughts before a verdict, of those that think.
        options: Of the verifier's format; None for one that has none.
        patience: For how long the servers are waited for otherwise.
        has_weights: They are not on this machine.
    """

    model: Path
    name: str
    urls: tuple[str, ...]
    api_key: str | None = None
    routing: Routing = "affinity"
    max_model_len: int | None = None
    max_prompt_tokens: int | None = None
    silence_s: float = 60.0
    max_thoughts: int = 2048
    options: object = None
    patience: Patience = Patience()

    has_weights: ClassVar[bool] = False
