"""The mutants of `tests/bench/mutants.py` are of the code as it is."""

from tests.bench.mutants import ROOT, load


def test_what_a_mutant_replaces_stands_once_in_its_file() -> None:
    stray = [
        (mutant.defect, old)
        for mutant in load()
        for old, _ in mutant.edits
        if (ROOT / mutant.file).read_text().count(old) != 1
    ]
    assert not stray
