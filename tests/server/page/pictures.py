"""Makes the pictures of the page that README.md shows: `python -m tests.server.page.pictures http://127.0.0.1:8000`.

Needs Chromium, and a service of the demo. The recording is of a search as it runs, at its own pace.
"""

import asyncio
import io
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from tests.chromium import find_chromium

PICTURES = Path(__file__).parents[3] / "server" / "pictures"
PROBLEM = "Solve 5 * (x + 4) = 2x + 38 for x."
COLOURS = 64
FRAME_S, LAST_FRAME_S = 0.15, 4.0


async def form(browser: Browser, url: str, scheme: str, size: tuple[int, int], **fields: object) -> Page:
    """Open the page in colours of its own, with a search in its form."""
    view = {"width": size[0], "height": size[1]}
    context = await browser.new_context(viewport=view, color_scheme=scheme)  # type: ignore[arg-type]
    page = await context.new_page()
    await page.goto(f"{url}/#solve?{urlencode({'problem': PROBLEM} | fields)}")
    await page.get_by_text("about ").first.wait_for()  # the estimate
    return page


async def solve(page: Page) -> None:
    await page.get_by_role("button", name="Solve", exact=True).click()


async def is_answered(page: Page) -> bool:
    return await page.get_by_text("calibrated probability").count() > 0


async def record(page: Page, file: Path) -> None:
    """Draw a search as it runs, frame by frame."""
    frames, shown_s = [await picture(page, COLOURS)], [1.0]
    await solve(page)
    ended = False
    while not ended:
        start, ended = time.perf_counter(), await is_answered(page)
        frames.append(await picture(page, COLOURS))
        shown_s.append(max(FRAME_S, time.perf_counter() - start))
        await asyncio.sleep(max(FRAME_S - (time.perf_counter() - start), 0))
    shown_s[-1] = LAST_FRAME_S
    first, *others = frames
    durations = [round(1000 * each) for each in shown_s]
    first.save(file, save_all=True, append_images=others, duration=durations, loop=0, optimize=True)


async def picture(page: Page, colours: int = 256) -> Image.Image:
    shot = Image.open(io.BytesIO(await page.screenshot())).convert("RGB")
    return shot.quantize(colours, dither=Image.Dither.NONE)


async def shoot(page: Page, file: Path) -> None:
    """Solve what the form asks, wait for the answer, and draw it."""
    await solve(page)
    await page.get_by_text("calibrated probability").wait_for()
    await page.wait_for_timeout(1_000)
    (await picture(page)).save(file, optimize=True)


async def main(url: str) -> None:
    """Make all pictures."""
    PICTURES.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        page = await form(browser, url, "light", (1100, 720), strategy="dvts", n=32, seed=2)
        await record(page, PICTURES / "search.gif")
        page = await form(browser, url, "light", (1280, 860), strategy="beam_search", n=16, seed=3)
        await shoot(page, PICTURES / "solve.png")
        await page.get_by_role("tab", name="Outline").or_(page.get_by_role("button", name="Outline")).first.click()
        await page.wait_for_timeout(500)
        (await picture(page)).save(PICTURES / "outline.png", optimize=True)
        page = await form(browser, url, "dark", (1280, 860), strategy="weighted_best_of_n", n=16, seed=3)
        await shoot(page, PICTURES / "votes.png")
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
