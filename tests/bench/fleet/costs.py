"""From data sheets to what an iteration of an engine takes: a roofline, with the assumptions of `costs.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.bench.fleet.engine import EngineCosts
from tests.bench.fleet.fleet import GatewayCosts

FILE = Path(__file__).with_name("costs.yaml")
BYTES = 2
"""Of a parameter, in bfloat16."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Factors on what is assumed and not known.

    Attributes:
        efficiency: On the shares of bandwidth and of arithmetic that are reached.
        host: On the work of the engines' hosts.
        gateway: On the gateway's work.
    """

    efficiency: float = 1.0
    host: float = 1.0
    gateway: float = 1.0


@cache
def read() -> Mapping[str, Any]:
    """Return the numbers, without their sources."""
    return _values(sources())


def sources() -> dict[str, Any]:
    """Return the numbers with their sources, as the file has them."""
    numbers: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return numbers


def engine(model: str, assumptions: Assumptions, *, memory: float = 1.0, judges: bool = False) -> EngineCosts:
    """Return what an engine on an H100 takes.

    Args:
        model: One of the file's.
        assumptions: Factors.
        memory: Share of the GPU's memory that engines get which is this one's.
        judges: Whether it reads only.
    """
    costs = read()
    gpu, host, settings, shape = costs["gpu"], costs["host"], costs["engine"], costs["models"][model]
    bandwidth = gpu["bandwidth"] * gpu["bandwidth_efficiency"] * assumptions.efficiency
    weights = shape["parameters"] * BYTES
    room = memory * gpu["memory_bytes"] * gpu["memory_share"] - weights - gpu["reserve_bytes"] * memory
    return EngineCosts(
        base_s=host["base_s"] * assumptions.host,
        sequence_s=host["sequence_s"] * assumptions.host,
        token_s=2 * shape["parameters"] / (gpu["flops"] * gpu["flops_efficiency"] * assumptions.efficiency),
        weights_s=weights / bandwidth,
        kv_s=0.0 if judges else shape["kv_bytes"] / bandwidth,
        overlaps=True,
        kv_tokens=int(room / shape["kv_bytes"]),
        block=settings["block"],
        max_sequences=settings["max_sequences"],
        max_batched_tokens=settings["max_batched_tokens"],
        max_piece=settings["max_batched_tokens"],
    )


def gateway(assumptions: Assumptions) -> GatewayCosts:
    """Return what a gateway takes."""
    costs = read()["gateway"]
    factor = assumptions.gateway
    return GatewayCosts(costs["token_s"] * factor, costs["request_s"] * factor, costs["notice_s"])


def _values(node: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each["value"] if "value" in each else _values(each) for name, each in node.items()}
