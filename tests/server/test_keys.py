"""Where keys come from, and what is refused without showing it."""

import hashlib
from pathlib import Path

import pytest

from server.keys import Client, read_keys
from server.settings import Settings, SettingsError

FIRST, SECOND = "sk-first-0123456789", "sk-second-0123456789"
DIGEST = hashlib.sha256(SECOND.encode()).hexdigest()

FILES = {
    "lines": ("keys.txt", f"# ours\n{FIRST}\n\n  {SECOND}  \n", "key-2", "key-4"),
    "a list": (
        "keys.yaml",
        f"- {{name: ours, key: {FIRST}, weight: 2}}\n- {{name: theirs, sha256: '{DIGEST}'}}",
        "ours",
        "theirs",
    ),
}

BAD = {
    # name: (name of the file, its text, what the message says)
    "nothing": ("keys", "# none\n", "holds no key"),
    "a short key": ("keys", "secret\n", "key 1: a key has 16 to 512 visible ASCII characters"),
    "a key with a space": ("keys", "sk-secret secret secret\n", "key 1: a key has 16"),
    "a key twice": ("keys", f"{FIRST}\n{FIRST}\n", "occurs twice"),
    "no YAML": ("keys.yaml", f"- a: b: {FIRST}", "is not YAML"),
    "no list": ("keys.yaml", f"key: {FIRST}", "must be a list"),
    "a list of keys": ("keys.yaml", f"- {FIRST}", "must be a list of {name, key"),
    "an unknown field": ("keys.yaml", f"- {{key: {FIRST}, limit: 3}}", "allowed fields are name, weight"),
    "a key and a digest": ("keys.yaml", f"- {{key: {FIRST}, sha256: '{DIGEST}'}}", "either key or sha256"),
    "neither": ("keys.yaml", "- {name: ours}", "either key or sha256"),
    "a number as key": ("keys.yaml", "- {key: 1234567890123456}", "a key has 16"),
    "a short digest": ("keys.yaml", "- {sha256: 'abc'}", "64 hexadecimal digits"),
    "a weight of nothing": ("keys.yaml", f"- {{key: {FIRST}, weight: 0}}", "a weight is above 0"),
    "a weight in words": ("keys.yaml", f"- {{key: {FIRST}, weight: heavy}}", "a weight is above 0"),
    "a name with a line break": ("keys.yaml", f'- {{key: {FIRST}, name: "a\\nb"}}', "a name has"),
    "a name twice": (
        "keys.yaml",
        f"- {{key: {FIRST}, name: a}}\n- {{key: {SECOND}, name: a}}",
        "two keys have the same name",
    ),
}


@pytest.mark.parametrize(("name", "text", "first", "second"), FILES.values(), ids=FILES)
def test_a_file_names_the_holders(tmp_path: Path, name: str, text: str, first: str, second: str) -> None:
    (tmp_path / name).write_text(text)
    keys = read_keys(Settings(api_keys_file=tmp_path / name))
    holders = [keys.holder(key.encode()) for key in (FIRST, SECOND, "sk-third-0123456789")]
    assert [holder and holder.name for holder in holders] == [first, second, None]


def test_a_holder_may_have_more_weight(tmp_path: Path) -> None:
    (tmp_path / "keys.yml").write_text(f"- {{name: ours, key: {FIRST}, weight: 2}}")
    assert read_keys(Settings(api_keys_file=tmp_path / "keys.yml")).holder(FIRST.encode()) == Client("ours", 2.0)


def test_keys_of_the_environment_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_API_KEYS", f"{FIRST}, {SECOND}")
    keys = read_keys(Settings())
    assert keys.holder(FIRST.encode()) != keys.holder(SECOND.encode()) is not None


def test_no_setting_is_no_key() -> None:
    assert not read_keys(Settings())


@pytest.mark.parametrize("keys", ["", " , "])
def test_a_setting_without_a_key_is_refused(keys: str) -> None:
    with pytest.raises(SettingsError, match="api_keys is set but holds no key"):
        read_keys(Settings(api_keys=keys))


@pytest.mark.parametrize(("name", "text", "message"), BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_by_name_and_never_shown(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match="api_keys_file") as raised:
        read_keys(Settings(api_keys_file=tmp_path / name))
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)
    assert FIRST not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_missing_file_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"api_keys_file nowhere cannot be read: No such file"):
        read_keys(Settings(api_keys_file=Path("nowhere")))
