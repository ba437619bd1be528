"""The table of all settings in deploy/settings.md: made from `Settings`, and compared with them by a test.

python -m tests.deploy.settings_table      writes it anew
"""

import json
import re
from pathlib import Path
from typing import Any

from server.settings import DEMO, PREFIX, Settings

PAGE = Path(__file__).parents[2] / "deploy" / "settings.md"
MARKED = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- end of settings -->)", re.DOTALL)
BOUNDS = {
    "minimum": "{} or more",
    "exclusiveMinimum": "above {}",
    "maximum": "to {}",
    "exclusiveMaximum": "below {}",
}
KINDS = {
    "boolean": "true, false",
    "integer": "a whole number",
    "number": "a number",
    "array": "several, with commas",
    "object": "JSON",
}


def table() -> str:
    """The table as Markdown."""
    fields = Settings.model_json_schema()["properties"]
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default(field)} | {_allowed(field)} | {field['description']} |"
        for name, field in fields.items()
    ]
    return "\n".join(["| variable | default | allowed | |", "| --- | --- | --- | --- |", *rows]) + "\n"


def _default(field: dict[str, Any]) -> str:
    match field.get("default"):
        case None:
            return ""
        case dict() as table if not table:
            return ""
        case bool() as value:
            return str(value).lower()
        case str() as value if value.startswith(str(DEMO)):
            return f"the demo's {Path(value).name}"
        case dict() as value:
            return f"`{json.dumps({name: each for name, each in value.items() if each is not None})}`"
        case value:
            return str(value)


def _allowed(field: dict[str, Any]) -> str:
    kind = field.get("anyOf", [field])[0]
    if "$ref" in kind.get("items", {}):
        return KINDS["object"]
    if "enum" in kind:
        return ", ".join(kind["enum"])
    bounds = [words.format(kind[name]) for name, words in BOUNDS.items() if name in kind]
    return ", ".join(bounds) or KINDS.get(kind.get("type", "object"), "text")


if __name__ == "__main__":
    PAGE.write_text(MARKED.sub(lambda _: table(), PAGE.read_text()))
