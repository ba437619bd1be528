"""The Dockerfile: what it copies is there and let through, and nobody runs as root."""

import re
import shlex
import subprocess
from fnmatch import fnmatch
from pathlib import Path

from server.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
STAGES = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", TEXT, re.MULTILINE | re.DOTALL))


def test_what_is_copied_is_there_and_passes_dockerignore() -> None:
    sources = [word for line in re.findall(r"^COPY (?!--from)(.+)$", TEXT, re.MULTILINE) for word in line.split()[:-1]]
    passed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sources
    assert all((ROOT / source).exists() for source in sources)
    assert sorted(sources) == sorted(passed)


def test_the_last_user_of_every_stage_that_runs_is_not_root() -> None:
    for name in ("service", "cuda", "router"):
        assert re.findall(r"^USER (\S+)$", STAGES[name], re.MULTILINE)[-1] == "10001:10001"
    assert "USER" not in STAGES["cpu"] + STAGES["gateway"]


def test_a_build_without_a_target_is_the_one_for_a_cpu_and_installs_no_package_of_debian() -> None:
    assert list(STAGES)[-1] == "cpu"
    assert "apt-get" not in STAGES["cpu"] + STAGES["service"]
    assert not any(fnmatch(word, "gcc*") for word in STAGES["python"].split())


def test_winnow_knows_the_settings_of_the_image() -> None:
    names = re.findall(rf"{PREFIX}(\w+)=", STAGES["service"])
    assert {name.lower() for name in names} == {"host", "port"}
    assert {name.lower() for name in names} <= Settings.model_fields.keys()


def test_the_base_image_is_pinned_by_the_date_of_its_packages() -> None:
    assert re.search(r"^ARG BASE=debian:bookworm-\d{8}-slim$", TEXT, re.MULTILINE)


def test_every_set_of_packages_has_its_lock_and_its_image() -> None:
    for name in re.findall(r"install\.sh python3 (\S+) run", TEXT):
        assert (ROOT / "deploy" / "requirements" / f"{name}.txt").exists()
        assert f"COPY --from=packages-{name} " in STAGES[name]


def test_setuptools_is_taken_with_its_hashes() -> None:
    (command,) = re.findall(r"(sed .*?) >setuptools\.txt", STAGES["project"])
    taken = subprocess.run(shlex.split(command), cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"setuptools==\S+( \\\n +--hash=sha256:[0-9a-f]{64})+\n", taken)
