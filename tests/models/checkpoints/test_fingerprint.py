"""A checkpoint is known by what is in it."""

import shutil
from pathlib import Path

import pytest

from models.checkpoints.fingerprint import ENDS_BYTES, fingerprint
from tests.conftest import DEMO


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEMO / "policy", tmp_path / "policy"))


def test_it_does_not_matter_where_a_checkpoint_lies(checkpoint: Path) -> None:
    assert fingerprint(checkpoint) == fingerprint(DEMO / "policy") != fingerprint(DEMO / "prm")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "chat_template.jinja"])
def test_other_weights_or_another_template_are_another_model(checkpoint: Path, name: str) -> None:
    before = fingerprint(checkpoint)
    with (checkpoint / name).open("ab") as file:
        file.write(b" ")
    assert fingerprint(checkpoint) != before


@pytest.mark.parametrize("name", ["training.json", "report.json"])
def test_what_a_training_leaves_beside_a_model_does_not_make_it_another(checkpoint: Path, name: str) -> None:
    (checkpoint / name).write_text("{}")
    assert fingerprint(checkpoint) == fingerprint(DEMO / "policy")


def test_a_weight_that_changes_at_either_end_of_a_large_file_is_seen(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    found = set()
    for place in (None, 0, 3 * ENDS_BYTES - 1):
        content = bytearray(3 * ENDS_BYTES)
        if place is not None:
            content[place] = 1
        weights.write_bytes(content)
        found.add(fingerprint(tmp_path))
    assert len(found) == 3


def test_a_note_beside_the_weights_changes_nothing(checkpoint: Path) -> None:
    before = fingerprint(checkpoint)
    (checkpoint / "README.md").write_text("by the way")
    assert fingerprint(checkpoint) == before
