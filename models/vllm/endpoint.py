"""`POST /v1/winnow/scores` in a vLLM server that runs a reward model of ours: the scores at positions, from the cache.

The entry point `vllm.endpoint_plugins`; vLLM attaches it where `VLLM_PLUGINS` names it: `VLLM_PLUGINS=winnow`. Over
HTTP vLLM's own paths either judge the last token alone (`/classify`) or do not read the prefix cache (`/pooling`).
"""

from argparse import Namespace
from typing import Annotated

from fastapi import APIRouter, FastAPI, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import State
from vllm.engine.protocol import EngineClient
from vllm.entrypoints.serve.utils.api_utils import with_cancellation
from vllm.inputs import tokens_input
from vllm.lora.request import LoRARequest
from vllm.tasks import SupportedTask
from vllm.utils import random_uuid

from models.vllm.reward_model import TASK, scores_at
from models.vllm.settings import ADAPTER, ADAPTER_ID, ARCHITECTURE

Index = Annotated[int, Field(ge=0)]

router = APIRouter()


class ScoresRequest(BaseModel):
    """Which tokens are read, and where they are judged."""

    model_config = ConfigDict(extra="forbid")

    token_ids: list[Index] = Field(min_length=1)
    positions: list[Index] = Field(min_length=1, description="Ascending, each that of one of the tokens.")
    read_cache: bool = True


class Scores(BaseModel):
    """Rows (position, score): those behind the cached prefix, of which the last token is always one."""

    scores: list[tuple[int, float]]
    num_cached_tokens: int


@router.post("/v1/winnow/scores", response_model=None)  # nothing is returned to who does not wait
@with_cancellation  # type: ignore[untyped-decorator]  # vLLM leaves it untyped
async def get_scores(body: ScoresRequest, raw_request: Request) -> Scores:
    """Judge; a closed connection makes the engine drop the request."""
    engine: EngineClient | None = getattr(raw_request.app.state, "winnow_engine", None)
    if engine is None:
        raise HTTPException(404, "the model of this server is no reward model of winnow's")
    if body.positions != sorted({*body.positions}) or body.positions[-1] >= len(body.token_ids):
        raise HTTPException(422, "positions: not ascending, or behind the last token")
    params = scores_at(body.positions, read_cache=body.read_cache)
    adapter: LoRARequest | None = raw_request.app.state.winnow_adapter
    request_id = f"winnow-{random_uuid()}"
    outputs = engine.encode(tokens_input(body.token_ids), params, request_id, lora_request=adapter)
    output = [output async for output in outputs][-1]
    rows = [(int(position), score) for position, score in output.outputs.data.tolist()]
    return Scores(scores=rows, num_cached_tokens=output.num_cached_tokens)


class ScoresEndpoint:
    """The endpoint, as vLLM takes it."""

    name = "winnow"
    required_tasks: tuple[SupportedTask, ...] | None = (TASK,)

    def attach_router(self, app: FastAPI) -> None:
        """Add the route."""
        app.include_router(router)

    async def init_state(self, engine_client: EngineClient | None, state: State, args: Namespace) -> None:
        """Keep the engine where it runs a model that knows positions."""
        if engine_client is not None and ARCHITECTURE in engine_client.model_config.architectures:
            state.winnow_engine = engine_client
            modules = getattr(args, ADAPTER, None) or ()
            state.winnow_adapter = next((LoRARequest(each.name, ADAPTER_ID, each.path) for each in modules), None)
