"""The project's Markdown: its pages, their code blocks, code spans, headings and links."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
READMES = tuple(ROOT / folder / "README.md" for folder in ("", "server", "search", "models", "deploy"))
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code."""

    page: Path
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every page but those of folders that are hidden or generated."""
    return sorted(page for page in ROOT.rglob("*.md") if not any(map(_is_generated, page.relative_to(ROOT).parts)))


def _is_generated(folder: str) -> bool:
    return folder in ("runs", "node_modules") or folder.startswith(".")


def blocks(language: str | None = None) -> list[Block]:
    """Every block of code, or those in a language."""
    found = [
        Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for page in pages()
        for text in [page.read_text()]
        for match in FENCED.finditer(text)
    ]
    return [block for block in found if language in (None, block.language)]


def commands(block: Block) -> Iterator[str]:
    """The commands of a block of shell, each on one line."""
    for line in block.code.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def spans(page: Path) -> list[str]:
    """The code within sentences and tables."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", FENCED.sub("", page.read_text()))]


def links(page: Path) -> list[str]:
    """Where links and pictures lead."""
    return LINK.findall(re.sub(r"`[^`]*`", "", FENCED.sub("", page.read_text())))


def anchors(page: Path) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found
