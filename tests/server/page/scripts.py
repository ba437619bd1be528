"""Calls functions of the page's modules: in node where it is there, else in Chromium."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.chromium import find_chromium
from tests.markdown import ROOT

FOLDER = ROOT / "server" / "page"
NODE = shutil.which("node")
FLAGS = ("--experimental-detect-module", "--no-warnings", "--input-type=module")
"""The page's files end in .js, which older versions of node take for something else."""

CHROMIUM_FLAGS = ("--no-sandbox", "--allow-file-access-from-files")

PROGRAM = """
import { readFileSync } from "node:fs";
const { paths, given } = JSON.parse(readFileSync(0, "utf-8"));
const modules = await Promise.all(paths.map((path) => import(path)));
const found = await (FUNCTION)(Object.assign({}, ...modules), ...given);
process.stdout.write(JSON.stringify(found ?? null));
"""


def call(modules: str, function: str, *given: Any) -> Any:
    """Return what a function makes of modules and of values of JSON.

    Args:
        modules: Files of the page, without their endings, separated by blanks.
        function: In JavaScript: `({ name }, first, second) => ...`, the names being those that the modules export.
        given: The other arguments.
    """
    paths = [(FOLDER / f"{name}.js").as_uri() for name in modules.split()]
    if NODE is None:
        with ThreadPoolExecutor(1) as thread:  # Playwright's plain interface needs one without an event loop
            return thread.submit(in_chromium, paths, function, given).result()
    return in_node(paths, function, given)


def in_node(paths: Sequence[str], function: str, given: Sequence[Any]) -> Any:
    done = subprocess.run(
        [str(NODE), *FLAGS, "-e", PROGRAM.replace("FUNCTION", function)],
        input=json.dumps({"paths": paths, "given": given}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def in_chromium(paths: Sequence[str], function: str, given: Sequence[Any]) -> Any:
    program = find_chromium()
    if program is None:
        pytest.skip("there is neither node nor Chromium")
    from playwright.sync_api import sync_playwright

    asked = f"""async ([paths, given]) => {{
      const modules = await Promise.all(paths.map((path) => import(path)));
      return JSON.stringify((await ({function})(Object.assign({{}}, ...modules), ...given)) ?? null);
    }}"""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        page = browser.new_page()
        page.goto((FOLDER / "icon.svg").as_uri())
        found = page.evaluate(asked, [list(paths), list(given)])
        browser.close()
    return json.loads(found)
