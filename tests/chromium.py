"""Chromium, wherever this machine has it."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Return the path of the program; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)
