"""What `winnow tune` may change, and the values that it tries next, from where it stands."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from server.settings import Settings

Change = Mapping[str, Any]
"""Values by setting; an argument of an engine is called policy_engine_args.max_num_seqs."""

CAPACITY = "max_cost_in_flight"
SEQUENCES, STEP_TOKENS, BLOCK = "max_num_seqs", "max_num_batched_tokens", "block_size"
SMALLEST_BLOCK = 16
SMALLEST_CACHE_MIB = 64
SMALLEST_SHARE, SHARE_STEP = 0.1, 0.1
"""Of a GPU's memory."""
MODELS = ("policy", "verifier")


@dataclass(frozen=True, slots=True)
class Place:
    """What bounds the choice.

    Attributes:
        device: That engines run on: "cpu" or "cuda".
        num_cores: Of this machine.
        sizes: Of the engines that run here, by model: how vLLM calls what they do at a time, and how much that is.
        cost: Of one search, as the service counts it.
        in_flight: Searches that run at a time as the settings are.
        most_in_flight: Searches that may: those whose tokens fit into the engines' caches.
    """

    device: str
    num_cores: int
    sizes: Mapping[str, Mapping[str, int]]
    cost: int
    in_flight: int
    most_in_flight: int

    def searches(self, settings: Settings) -> int:
        """Return how many searches run at a time."""
        capacity = settings.max_cost_in_flight
        return self.in_flight if capacity is None else max(capacity // self.cost, 1)


@dataclass(frozen=True, slots=True)
class Knob:
    """Something that can be changed.

    Attributes:
        name: In words.
        settings: That it changes.
        values: Changes that may be better, from some settings.
    """

    name: str
    settings: tuple[str, ...]
    values: Callable[[Settings, Place], Iterator[Change]]


def changed(settings: Settings, change: Change) -> Settings:
    """Return settings with other values."""
    update = {
        name: {**getattr(settings, name), **value} if isinstance(value, dict) else value
        for name, value in grouped(change).items()
    }
    return settings.model_copy(update=update)


def grouped(change: Change) -> dict[str, Any]:
    """Return a change by setting, the arguments of an engine together."""
    values: dict[str, Any] = {}
    for name, value in change.items():
        setting, _, argument = name.partition(".")
        if argument:
            values.setdefault(setting, {})[argument] = value
        else:
            values[setting] = value
    return values


def difference(before: Settings, after: Settings, place: Place) -> dict[str, Any]:
    """Return the change that makes one of the other; what only spells out the engine's own choice is none."""
    change: dict[str, Any] = {}
    for setting in dict.fromkeys(name.partition(".")[0] for knob in KNOBS for name in knob.settings):
        new = getattr(after, setting)
        values = (
            {f"{setting}.{name}": value for name, value in new.items()} if isinstance(new, dict) else {setting: new}
        )
        change |= {name: value for name, value in values.items() if value != value_of(before, name, place)}
    return change


def value_of(settings: Settings, name: str, place: Place) -> Any:
    """Return a value as it is: of an argument that nobody set, what the engine chose."""
    setting, _, argument = name.partition(".")
    value = getattr(settings, setting)
    if not argument:
        return value
    return value.get(argument, place.sizes.get(setting.partition("_")[0], {}).get(argument))


def words(settings: Settings, change: Change, place: Place) -> str:
    """Say a change in a line."""
    return ", ".join(
        f"{name} {_shown(value_of(settings, name, place))} -> {_shown(new)}" for name, new in change.items()
    )


def _shown(value: Any) -> str:
    return "default" if value is None else json.dumps(value)


def _searches(settings: Settings, place: Place) -> Iterator[Change]:
    present = place.searches(settings)
    for number in (present // 2, present * 2):
        if number >= 1 and (number < present or number <= place.most_in_flight):
            yield {CAPACITY: number * place.cost}


def _threads(settings: Settings, place: Place) -> Iterator[Change]:
    """Share the cores out; engines whose threads outnumber the cores collapse."""
    cores = place.num_cores
    if place.device != "cpu" or not place.sizes:
        return
    if len(place.sizes) == 1:
        (name,) = place.sizes
        for number in (cores, cores - 1, cores // 2, 1):
            if number >= 1:
                yield {f"{name}_threads": number}
        return
    for policy in (cores // 2, cores // 4, cores - cores // 4):
        if 1 <= policy < cores:
            yield {"policy_threads": policy, "verifier_threads": cores - policy}
    yield {"policy_threads": 1, "verifier_threads": 1}


def _sizes(model: str, size: str, least: int = 1) -> Callable[[Settings, Place], Iterator[Change]]:
    """Return what doubles and halves an argument of an engine that runs here."""

    def values(settings: Settings, place: Place) -> Iterator[Change]:
        name = f"{model}_engine_args.{size}"
        present = value_of(settings, name, place)
        if model not in place.sizes or not isinstance(present, int):
            return
        for number in (present * 2, present // 2):
            if number >= least and not (size == BLOCK and number < present and place.device == "cpu"):
                step = value_of(settings, f"{model}_engine_args.{STEP_TOKENS}", place)
                seqs = value_of(settings, f"{model}_engine_args.{SEQUENCES}", place)
                if size == BLOCK or (number <= step if size == SEQUENCES else number >= seqs):  # vLLM asks for that
                    yield {name: number}

    return values


def _memory(settings: Settings, place: Place) -> Iterator[Change]:
    """Move memory from one engine to the other; together they take as much as before."""
    if len(place.sizes) < len(MODELS):
        return
    if place.device == "cpu":
        policy, verifier = settings.policy_kv_cache_mib, settings.verifier_kv_cache_mib
        step = (policy + verifier) // 4
        for moved in (step, -step):
            if min(policy - moved, verifier + moved) >= SMALLEST_CACHE_MIB:
                yield {"policy_kv_cache_mib": policy - moved, "verifier_kv_cache_mib": verifier + moved}
        return
    for share in (SHARE_STEP, -SHARE_STEP):
        shares = round(settings.policy_memory - share, 3), round(settings.verifier_memory + share, 3)
        if min(shares) >= SMALLEST_SHARE:
            yield {"policy_memory": shares[0], "verifier_memory": shares[1]}


def _argument(model: str, size: str, least: int = 1) -> Knob:
    name = f"{model}_engine_args.{size}"
    return Knob(f"{size} of the {model}", (name,), _sizes(model, size, least))


KNOBS = (
    Knob("searches at a time", (CAPACITY,), _searches),
    Knob("threads", ("policy_threads", "verifier_threads"), _threads),
    _argument("verifier", STEP_TOKENS),
    _argument("policy", SEQUENCES),
    _argument("policy", STEP_TOKENS),
    _argument("verifier", BLOCK, SMALLEST_BLOCK),
    _argument("policy", BLOCK, SMALLEST_BLOCK),
    _argument("verifier", SEQUENCES),
    Knob(
        "memory of policy and verifier",
        ("policy_kv_cache_mib", "verifier_kv_cache_mib", "policy_memory", "verifier_memory"),
        _memory,
    ),
)
"""In the order in which they are tried: what needs no other engines first, then what gains most as a rule."""
