"""Checks of the address, the keys, the remote servers and the store of several gateways."""

from collections.abc import Iterable, Iterator
from typing import Any

import httpx

from server.doctor.finding import Finding, caution, fine, stops
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
    findings = [_server(name, url.rstrip("/"), key) for url in urls]
    if all(finding.remedy for finding in findings):
        yield from findings
    else:  # one that responds is enough
        for finding in findings:
            yield caution(finding.check, finding.seen, finding.remedy) if finding.remedy else finding


def _server(name: str, url: str, key: str | None) -> Finding:
    check = f"{name} server"
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with httpx.Client(base_url=url, timeout=ANSWER_WITHIN_S, headers=headers) as client:
            health, models = client.get("/health"), client.get("/v1/models")
    except httpx.HTTPError as error:
        return stops(check, f"{url} does not answer: {error}", f"start it (vllm serve), or mend {name}_url")
    if not health.is_success:
        return stops(check, f"{url}/health answers {health.status_code}", "look into the server's log: it is not ready")
    if models.status_code in (401, 403):
        return stops(check, f"{url} requires a key", "set engine_api_key to what vllm serve --api-key was given")
    served = _names(models)
    if not served:
        return stops(check, f"{url}/v1/models names no model", f"check that {name}_url is a vLLM server")
    return fine(check, f"{url} serves {', '.join(served)}")


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
