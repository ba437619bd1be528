"""The page's files over HTTP: small, packed, cached, open without a key, and off where the settings say so."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from models.training.demo.tasks.stream import is_held_out
from search.strategies import Parts, Row, strategies
from server.http.assets import MEDIA_TYPES, Asset, read_assets
from server.routes.page import FOLDER, POLICY, examples_of
from server.settings import Settings
from tests.server.services import service, world_of

KEY = "sk-0123456789abcdef"
MOST_BYTES = 150_000
FILES = sorted(file for file in FOLDER.rglob("*") if file.suffix in MEDIA_TYPES)
SOURCES = [file for file in FILES if "vendor" not in file.parts]


async def test_the_page_is_html_under_a_strict_policy() -> None:
    async with service(world_of("1")) as client:
        reply = await client.get("/")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert "<noscript>" in reply.text


def test_the_whole_page_is_at_most_150_kb() -> None:
    sizes = {name: len(file.packed) for name, file in read_assets(FOLDER).items() if not name.endswith(".txt")}
    assert sum(sizes.values()) <= MOST_BYTES, sizes


def test_scripts_are_sent_without_comments_and_with_the_same_lines() -> None:
    sent = read_assets(FOLDER)
    for file in (each for each in SOURCES if each.suffix == ".js"):
        code = sent[file.relative_to(FOLDER).as_posix()].content.decode().split("\n")
        for old, new in zip(file.read_text().split("\n"), code, strict=True):
            assert new == ("" if old.lstrip().startswith(("/**", "* ", "*/", "//")) or old.strip() == "*" else old)


async def test_every_file_is_served_and_nothing_else() -> None:
    async with service(world_of("1")) as client:
        for file in FILES:
            path = f"/page/{file.relative_to(FOLDER)}"
            reply = await client.get(path)
            assert (reply.status_code, reply.content) == (200, Asset.read(file).content), path
        for path in (
            "/page/",
            "/page/nothing.js",
            "/page/vendor/refresh.sh",
            "/page/../settings.py",
            "/page/%2e%2e/app.py",
        ):
            assert (await client.get(path)).status_code == 404, path


def test_what_the_first_view_needs_is_asked_for_at_once() -> None:
    preloaded = re.findall(r'"modulepreload" href="page/([^"]+)"', (FOLDER / "index.html").read_text())
    assert preloaded == sorted(modules_of(FOLDER / "main.js") - {"main.js"})


def modules_of(file: Path) -> set[str]:
    """A module and what it imports before it runs, by their paths within the page."""
    found: set[str] = set()
    waiting = [file.resolve()]
    while waiting:
        module = waiting.pop()
        name = module.relative_to(FOLDER).as_posix()
        if name not in found:
            found.add(name)
            imported = re.findall(r'^import [^;]*?"(\.[^"]+)";', module.read_text(), re.MULTILINE)
            waiting += [(module.parent / path).resolve() for path in imported]
    return found


async def test_a_file_that_the_browser_has_is_not_sent_again() -> None:
    async with service(world_of("1")) as client:
        first = await client.get("/page/main.js")
        again = await client.get("/page/main.js", headers={"If-None-Match": f'"x", {first.headers["etag"]}'})
        other = await client.get("/page/main.js", headers={"If-None-Match": '"x"'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("accepted", "encoding"), [("gzip, br", "gzip"), ("br;q=1, gzip;q=0.5", "gzip"), ("gzip;q=0", None), ("", None)]
)
async def test_files_are_packed_for_those_who_unpack_them(accepted: str, encoding: str | None) -> None:
    async with service(world_of("1")) as client:
        reply = await client.get("/page/style.css", headers={"Accept-Encoding": accepted})
    assert reply.headers.get("content-encoding") == encoding
    assert reply.text == (FOLDER / "style.css").read_text()


async def test_the_page_needs_no_key_and_what_it_asks_for_does() -> None:
    async with service(world_of("1"), api_keys=KEY) as client:
        for path in ("/", "/page/main.js", "/page/vendor/preact.js"):
            assert (await client.get(path)).status_code == 200, path
        for path in ("/page/about", "/page/nothing.js", "/page/", "/metrics"):
            assert (await client.get(path)).status_code == 401, path
        about = await client.get("/page/about", headers={"Authorization": f"Bearer {KEY}"})
    assert about.json()["needs_key"] is True


async def test_a_service_without_the_page_has_none_of_it() -> None:
    async with service(world_of("1"), page=False) as client:
        for path in ("/", "/page/main.js", "/page/about"):
            assert (await client.get(path)).status_code == 404, path


async def about(**fields: Any) -> dict[str, Any]:
    async with service(world_of("1"), **fields) as client:
        found: dict[str, Any] = (await client.get("/page/about")).json()
        return found


async def test_the_page_learns_which_fields_each_strategy_reads_and_their_limits() -> None:
    found = await about(max_n=8, max_steps=12)
    fields = {row["name"]: [field["name"] for field in row["fields"]] for row in found["strategies"]}
    assert fields["majority"] == []
    assert fields["beam_search"] == ["beam_width", "max_steps", "lookahead", "aggregation", "selection"]
    assert fields["auto"] == []  # there is no table
    assert (found["limits"]["n"], found["limits"]["max_steps"], found["defaults"]["n"]) == (8, 12, 8)
    assert found["needs_key"] is False


async def test_a_strategy_that_this_service_cannot_run_says_why() -> None:
    found = {row["name"]: row["lacks"] for row in (await about())["strategies"]}
    assert found["majority"] is None
    assert "WINNOW_VERIFIER_FORMAT" in found["ttt_best_of_n"] or "torch" in found["ttt_best_of_n"]


async def test_it_says_how_charts_are_to_show_each_strategy() -> None:
    told = {each["name"]: (each["kind"], each["colour"]) for each in (await about())["strategies"]}
    assert told == {row.name: (kind_of(row), row.colour) for row in strategies().values()}


def kind_of(row: Row) -> str:
    return "table" if row.fallback else "flat" if row.parts is Parts.RESPONSES else "tree"


async def test_a_recipe_may_bring_examples_of_its_own() -> None:
    own = [{"label": "Sum", "problem": "1 + 1"}]
    assert (await about(examples=own))["examples"] == own
    assert (await about(examples=[]))["examples"] == []


def test_the_demo_shows_problems_of_its_families_that_it_was_not_trained_on() -> None:
    examples = examples_of(Settings())
    assert len(examples) == 5
    assert all(is_held_out(example.problem) for example in examples)
    assert examples_of(Settings(policy_model="somebody/else")) == ()


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.name)
def test_no_source_makes_markup_or_code_of_text_or_asks_other_hosts(file: Path) -> None:
    text = file.read_text()
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document\.write|\beval\(|new Function|https?://(?!www\.w3\.org)"
    assert re.findall(forbidden, text) == []


def test_what_was_vendored_is_what_was_pinned() -> None:
    for line in (FOLDER / "vendor" / "packages.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        package, _, target, _, tarball, ours = line.split()
        assert re.fullmatch(r"(@[\w-]+/)?[\w-]+@\d+\.\d+\.\d+", package)
        assert re.fullmatch(r"[0-9a-f]{64}", tarball)
        assert hashlib.sha256((FOLDER / "vendor" / target).read_bytes()).hexdigest() == ours, target


def test_every_vendored_module_has_its_licence() -> None:
    vendored = {file.stem for file in (FOLDER / "vendor").glob("*.js")}
    assert vendored == {file.name.removesuffix(".LICENSE.txt") for file in (FOLDER / "vendor").glob("*.LICENSE.txt")}
