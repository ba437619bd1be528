"""API keys: read once, kept as SHA-256 digests, compared in constant time.

A key itself is in memory while the settings are read and while a request is checked, and is never logged, shown or
written. A file of keys has one key a line (blank lines and `#` comments are left out), or, when it is called .yaml or
.yml, a list of `{name, key or sha256, weight}`.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.spelling import did_you_mean
from server.settings import Settings, SettingsError, read_yaml

MIN_KEY_CHARS = 16
KEY = re.compile(rf"[!-~]{{{MIN_KEY_CHARS},512}}")
DIGEST = re.compile(r"[0-9a-fA-F]{64}")
FIELDS = ("name", "key", "sha256", "weight")
MAX_WEIGHT = 1000.0


@dataclass(frozen=True, slots=True)
class Client:
    """The holder of a key, or the address of a peer without one.

    Attributes:
        name: Safe to log.
        weight: Share of the service relative to others in the queue, above 0.
    """

    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Key:
    """A key, known by its SHA-256 digest alone, and its holder."""

    digest: bytes
    client: Client


class Keyring:
    """The keys of a service; without any, none is needed."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def holder(self, key: bytes) -> Client | None:
        """Return the holder of a key, or None. The time depends on the length of the key only."""
        digest, holder = hashlib.sha256(key).digest(), None
        for known in self._keys:
            if hmac.compare_digest(known.digest, digest):
                holder = known.client
        return holder


def read_keys(settings: Settings) -> Keyring:
    """Read the keys that the settings name.

    Raises:
        SettingsError: One cannot be used; the message says which and why, and does not show it.
    """
    keys: list[Key] = []
    if settings.api_keys is not None:
        values = settings.api_keys.get_secret_value().replace(",", " ").split()
        keys += [_key("api_keys", n, {"key": value}) for n, value in enumerate(values, start=1)]
        if not values:
            raise SettingsError("api_keys is set but holds no key")
    if settings.api_keys_file is not None:
        keys += _read_file(settings.api_keys_file)
    _refuse_repeats(keys)
    return Keyring(keys)


def _read_file(path: Path) -> Sequence[Key]:
    where = f"api_keys_file {path}"
    entries = _entries(path, where) if path.suffix in (".yaml", ".yml") else _lines(path, where)
    keys = [_key(where, number, entry) for number, entry in entries]
    if not keys:
        raise SettingsError(f"{where} holds no key")
    return keys


def _lines(path: Path, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where} cannot be read: {getattr(error, 'strerror', 'not UTF-8')}") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, {"key": line.strip()}


def _entries(path: Path, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    entries = read_yaml(path, where)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SettingsError(f"{where} must be a list of {{{', '.join(FIELDS)}}}")
    yield from enumerate(entries, start=1)


def _key(where: str, number: int, entry: dict[str, Any]) -> Key:
    """Make a key; `number` is its line or its place in the list, for messages."""
    where = f"{where}, key {number}"
    unknown = [str(field) for field in entry if field not in FIELDS]
    if unknown or ("key" in entry) == ("sha256" in entry):
        allowed = "allowed fields are name, weight, and either key or sha256"
        free = set(FIELDS) - set(entry) if unknown else ()
        raise SettingsError(f"{where}: {did_you_mean(''.join(unknown[:1]), free, allowed)}")
    key, digest = entry.get("key"), entry.get("sha256")
    if "key" in entry and not (isinstance(key, str) and KEY.fullmatch(key)):
        raise SettingsError(f"{where}: a key has {MIN_KEY_CHARS} to 512 visible ASCII characters")
    if "sha256" in entry and not (isinstance(digest, str) and DIGEST.fullmatch(digest)):
        raise SettingsError(f"{where}: sha256 has 64 hexadecimal digits, in quotes")
    name, weight = entry.get("name", f"key-{number}"), entry.get("weight", 1.0)
    if not (isinstance(name, str) and re.fullmatch(r"[\w.@-]{1,64}", name)):
        raise SettingsError(f"{where}: a name has 1 to 64 letters, digits and ._@-")
    if not (isinstance(weight, int | float) and 0 < weight <= MAX_WEIGHT):
        raise SettingsError(f"{where}: a weight is above 0, to {MAX_WEIGHT:g}")
    client = Client(name, float(weight))
    return Key(bytes.fromhex(digest) if digest else hashlib.sha256(str(key).encode()).digest(), client)


def _refuse_repeats(keys: Sequence[Key]) -> None:
    names, digests = {key.client.name for key in keys}, {key.digest for key in keys}
    if len(digests) < len(keys):
        raise SettingsError("a key occurs twice in api_keys and api_keys_file")
    if len(names) < len(keys):
        raise SettingsError("two keys have the same name: give each its own in a YAML api_keys_file")
