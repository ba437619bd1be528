"""How the page keeps up: first paint, from event to drawing, frames while panning, memory, what axe-core finds.

    python -m tests.bench.page [--n 256] [--steps 40] [--searches 100]

The real service runs around a world of random scores, whose beam search grows a tree of n x steps nodes; Chromium draws
it without a GPU, on the same machine.
"""

import argparse
import asyncio
import json
import statistics
from collections.abc import Sequence
from random import Random
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright

from models.interfaces import DELIMITER, Finish, Sampling, Step
from tests.chromium import find_chromium
from tests.server.services import service
from tests.worlds import World

TAP = """
  window.arrivals = [];  // when each event came, by its number
  window.drawings = [];  // [number of events told, when they were drawn]
  const clear = CanvasRenderingContext2D.prototype.clearRect;
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    window.drawings.push([this.canvas.tree.story.revision, performance.now()]);
    return clear.apply(this, box);
  };
  const ask = window.fetch;
  window.fetch = async (...asked) => {
    const response = await ask(...asked);
    if (!(response.headers.get("Content-Type") ?? "").startsWith("text/event-stream")) return response;
    const decoder = new TextDecoder();
    const tap = new TransformStream({
      transform(chunk, controller) {
        const events = decoder.decode(chunk, { stream: true }).split("\\nevent: ").length - 1;
        for (let each = 0; each < events; each += 1) window.arrivals.push(performance.now());
        controller.enqueue(chunk);
      },
    });
    return new Response(response.body.pipeThrough(tap), response);
  };
"""
DRAW = """() => {
  const { tree } = document.querySelector("canvas");
  tree.fit(false);
  return Array.from({ length: 30 }, () => {
    const started = performance.now();
    tree.draw();
    tree.context.getImageData(0, 0, 1, 1);  // or it is only noted down
    return performance.now() - started;
  });
}"""
PAN = """async () => {
  const { tree } = document.querySelector("canvas");
  tree.fit(false);
  const times = [];
  for (let frame = 0; frame < 90; frame += 1) {
    tree.pan(frame % 60 < 30 ? 4 : -4, 2);
    times.push(await new Promise(requestAnimationFrame));
  }
  return times.slice(1).map((time, at) => time - times[at]);
}"""


class Deep:
    """A world whose responses have so many steps, each with a random score."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._dice = Random(0)

    def draw(self, prefix: Sequence[Step], sampling: Sampling) -> tuple[str, Finish]:
        if len(prefix) + 1 < self._steps:
            return f"Step {len(prefix) + 1}: {self._dice.random():.6f}{DELIMITER}", Finish.STEP
        return rf"\boxed{{{self._dice.randint(1, 5)}}}", Finish.END

    def judge(self, steps: Sequence[Step]) -> float:
        return self._dice.random()


async def solve(page: Page, n: int, steps: int) -> None:
    """Ask for a beam search, and wait for its answer."""
    await page.locator("[name=strategy]").select_option("beam_search")
    await page.locator("[name=n]").fill(str(n))
    await page.locator("[name=max_steps]").fill(str(steps), force=True)
    await page.get_by_role("button", name="Solve", exact=True).click()
    await page.locator("canvas").wait_for()


async def finish(page: Page) -> None:
    await page.locator(".verdict .why li").first.wait_for(timeout=300_000)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, the worst of 95 in 100, and the worst."""
    ranked = sorted(values)
    return {
        "median": round(statistics.median(ranked), 1),
        "p95": round(ranked[int(len(ranked) * 0.95)], 1),
        "worst": round(ranked[-1], 1),
    }


async def latencies(page: Page) -> list[float]:
    """Milliseconds from the arrival of each event to the drawing that shows it."""
    arrivals, drawings = await page.evaluate("[window.arrivals, window.drawings]")
    found, at = [], 0
    for number, arrived in enumerate(arrivals, 1):
        while at < len(drawings) and drawings[at][0] < number:
            at += 1
        if at < len(drawings):
            found.append(drawings[at][1] - arrived)
    return found


async def heap_mib(page: Page) -> float:
    session = await page.context.new_cdp_session(page)
    await session.send("HeapProfiler.collectGarbage")
    usage = await session.send("Runtime.getHeapUsage")
    await session.detach()
    return round(float(usage["usedSize"]) / 2**20, 1)


async def measure(n: int, steps: int, searches: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    program = find_chromium()
    async with service(World(Deep(steps)), max_steps=steps) as client, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        context = await browser.new_context(viewport={"width": 1440, "height": 900})
        page = await context.new_page()
        await page.add_init_script(TAP)
        await page.goto(str(client.base_url))
        await page.locator("[name=problem]").wait_for()
        paints = "performance.getEntriesByType('paint').map((each) => [each.name, Math.round(each.startTime)])"
        found["paint_ms"] = dict(await page.evaluate(paints))
        found["axe"] = {"before a search": await flaws(page)}
        await page.locator("[name=problem]").fill("How deep is it?")
        await page.locator(".more summary").click()

        await solve(page, n, steps)
        await finish(page)
        await page.wait_for_timeout(1000)
        found["nodes"] = await page.evaluate("document.querySelector('canvas').tree.laid.cells.size")
        found["layout_ms"] = round(await page.evaluate("document.querySelector('canvas').tree.layoutMs"), 1)
        found["event_to_drawing_ms"] = spread(await latencies(page))
        found["draw_ms"] = spread(await page.evaluate(DRAW))
        frames = await page.evaluate(PAN)
        found["pan_frame_ms"] = spread(frames)
        found["pan_frames_per_s"] = round(1000 / statistics.mean(frames), 1)

        heaps = []
        for count in range(1, searches + 1):
            await solve(page, 16, 8)
            await finish(page)
            await page.evaluate("window.arrivals.length = window.drawings.length = 0")
            if count in (5, searches):
                heaps.append((count, await heap_mib(page)))
        found["heap_mib_after_searches"] = heaps
        await page.locator("canvas").press("End")
        found["axe"]["inspecting"] = await flaws(page)
        await page.get_by_role("button", name="Outline").click()
        found["axe"]["outline"] = await flaws(page)
        await browser.close()
    return found


async def flaws(page: Page) -> list[str]:
    """What axe-core finds on the page as it stands."""
    session = await page.context.new_cdp_session(page)
    await session.send("Page.setBypassCSP", {"enabled": True})
    results = await Axe().run(page)
    return [f"{each['id']}: {each['help']} ({len(each['nodes'])})" for each in results.response["violations"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=256)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--searches", type=int, default=100)
    options = parser.parse_args()
    found = asyncio.run(measure(options.n, options.steps, options.searches))
    print(json.dumps(found, indent=2))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
