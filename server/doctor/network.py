"""Checks of the address, the keys, the remote servers and the store of several gateways."""

from collections.abc import Iterable, Iterator
from typing import Any

import httpx

from models.remote.releases import OPENAPI, Gap, read_gaps
from models.remote.replica import HEALTH, MODELS, READINESS, ROUTED_MODELS
from models.remote.replies import ReplyError, Workers, read
from server.doctor.finding import Finding, Verdict, caution, fine, stops
from server.http.access import require_safe_exposure
from server.http.listening import listening
from server.keys import read_keys
from server.settings import Settings, SettingsError

ANSWER_WITHIN_S = 5.0
OLDEST_REDIS = (6, 2)
"""With LPOP of several and XTRIM by id."""


def check_address(settings: Settings) -> Finding:
    """Check that the service can listen on its address."""
    try:
        with listening(settings.host, settings.port):
            return fine("address", f"{settings.host or '(all)'}:{settings.port} is free")
    except SettingsError as error:
        return stops("address", str(error), "set host to an address of this machine, and port to one that is free")


def check_keys(settings: Settings) -> Finding:
    """Check that the keys can be used, and that a public address has some."""
    try:
        keys = read_keys(settings)
        require_safe_exposure(settings, keys)
    except SettingsError as error:
        return stops("keys", str(error), "server/README.md, Keys, says what a file of keys looks like")
    if keys:
        return fine("keys", "requests need a key")
    if settings.allow_public_without_keys:
        seen = f"anyone who reaches {settings.host}:{settings.port} may use the service"
        return caution("keys", seen, "set api_keys_file, unless something else guards the service")
    return fine("keys", "none needed: only this machine can connect")


def check_servers(name: str, urls: Iterable[str], key: str | None) -> Iterator[Finding]:
    """Check that the vLLM servers of a model respond.

    Args:
        name: Of the model: policy or verifier.
        urls: Of its servers.
        key: Of the servers.
    """
    servers = [_server(name, url.rstrip("/"), key) for url in urls]
    is_one_of_use = any(all(finding.verdict is not Verdict.STOPS for finding in findings) for findings in servers)
    for finding in (finding for findings in servers for finding in findings):
        if is_one_of_use and finding.verdict is Verdict.STOPS:  # one that responds is enough
            yield caution(finding.check, finding.seen, finding.remedy or "")
        else:
            yield finding


def _server(name: str, url: str, key: str | None) -> list[Finding]:
    check = f"{name} server"
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with httpx.Client(base_url=url, timeout=ANSWER_WITHIN_S, headers=headers) as client:
            workers = _workers(client)
            health = client.get(HEALTH) if workers is None else None
            models = client.get(MODELS if workers is None else ROUTED_MODELS)
            gaps = _gaps(client, name)
    except httpx.HTTPError as error:
        return [stops(check, f"{url} does not answer: {error}", f"start it (vllm serve), or mend {name}_url")]
    if health is not None and not health.is_success:
        seen = f"{url}/health answers {health.status_code}"
        return [stops(check, seen, "look into the server's log: it is not ready")]
    if workers is not None and not workers.healthy_workers:
        seen = f"{url} is a router, and none of its {workers.total_workers} servers answers"
        return [stops(check, seen, "look into the servers' logs, and at the router's --worker-urls")]
    if models.status_code in (401, 403):
        remedy = "set engine_api_key to what vllm serve --api-key was given"
        return [stops(check, f"{url} requires a key", remedy if workers is None else f"{remedy}, and the router's too")]
    served = _names(models)
    if not served:
        return [stops(check, f"{url}/v1/models names no model", f"check that {name}_url is a vLLM server")]
    return [_answering(check, url, workers, ", ".join(served)), *(_gap(check, url, gap) for gap in gaps)]


def _answering(check: str, url: str, workers: Workers | None, served: str) -> Finding:
    if workers is None:
        return fine(check, f"{url} serves {served}")
    seen = f"{url} is a router, of which {workers.healthy_workers} of {workers.total_workers} servers serve {served}"
    if workers.healthy_workers < workers.total_workers:
        return caution(check, seen, "look into the logs of the others; the rest does their work until they answer")
    return fine(check, seen)


def _workers(client: httpx.Client) -> Workers | None:
    """Return the servers behind a router; None where it is no router."""
    try:
        return read(Workers, client.get(READINESS).content)
    except ReplyError:
        return None


def _gaps(client: httpx.Client, name: str) -> tuple[Gap, ...]:
    try:
        return read_gaps(client.get(OPENAPI).content, "generate" if name == "policy" else None)
    except (ReplyError, httpx.TimeoutException):  # who does not describe itself
        return ()


def _gap(check: str, url: str, gap: Gap) -> Finding:
    kind = stops if gap.is_fatal else caution
    return kind(check, f"{url} has {gap}", "run a newer vLLM there (deploy/fleets.md), or winnow engine")


def _names(response: httpx.Response) -> list[str]:
    try:
        listed: list[dict[str, Any]] = response.json()["data"]
        return [str(model["id"]) for model in listed]
    except (ValueError, KeyError, TypeError):
        return []


def check_store(settings: Settings) -> Iterator[Finding]:
    """Check that the Redis that gateways share answers, is new enough, and keeps what it is given."""
    if settings.store_url is None:
        if settings.workers > 1:
            seen = "several processes without store_url refuse background searches and Idempotency-Key"
            yield caution("store", seen, "set store_url, unless nobody asks for these")
        return
    try:
        from redis import Redis, RedisError
    except ImportError:
        yield stops("store", "store_url is set, but the package redis is missing", "pip install 'winnow[redis]'")
        return
    try:
        with Redis.from_url(settings.store_url.get_secret_value(), socket_timeout=ANSWER_WITHIN_S) as redis:
            info: Any = redis.info()
    except (RedisError, ValueError) as error:
        seen = f"Redis does not answer: {error}"
        yield caution("store", seen, "start it, or mend store_url; until then background searches are refused")
        return
    version, policy = str(info["redis_version"]), str(info.get("maxmemory_policy", "noeviction"))
    if tuple(map(int, version.split(".")[:2])) < OLDEST_REDIS:
        oldest = ".".join(map(str, OLDEST_REDIS))
        yield stops("store", f"Redis {version} is too old", f"take {oldest} or newer, or Valkey")
    elif policy != "noeviction":
        seen = f"Redis {version} drops what it is given when its memory is full (maxmemory-policy {policy})"
        yield caution("store", seen, "set maxmemory-policy noeviction: searches then are refused, and none is lost")
    else:
        yield fine("store", f"Redis {version} answers")
