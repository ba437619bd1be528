"""The two ways of calling the page's modules agree."""

import pytest

from tests.chromium import find_chromium
from tests.server.page.scripts import FOLDER, NODE, in_chromium, in_node


@pytest.mark.skipif(not (NODE and find_chromium()), reason="needs node and Chromium")
def test_node_and_chromium_give_the_same() -> None:
    paths = [(FOLDER / f"{name}.js").as_uri() for name in ("statistics", "prometheus")]
    function = "({ bootstrap, readMetrics }, values) => [bootstrap(values), [...readMetrics('a 1')]]"
    assert in_chromium(paths, function, [[1, 2, 4]]) == in_node(paths, function, [[1, 2, 4]])
