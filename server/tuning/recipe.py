"""Writes values into a recipe, and leaves every other character of it, the comments too, as it is.

PyYAML says where in the text each value stands. A recipe whose new text would not read as the old one with the changes
is left alone: the caller then writes a file of its own.
"""

import json
from collections.abc import Mapping
from typing import Any

import yaml


def edited(text: str, values: Mapping[str, Any]) -> str | None:
    """Return the text of a recipe with other values; None where that cannot be written into it.

    Args:
        text: Of the recipe.
        values: By setting; a mapping is merged into the one that is there.
    """
    try:
        before = yaml.safe_load(text) or {}
        after = _edited(text, values)
        is_right = yaml.safe_load(after) == _merged(before, values)
    except (yaml.YAMLError, AttributeError, TypeError, ValueError):
        return None
    return after if is_right else None


def written(values: Mapping[str, Any]) -> str:
    """Return values as the lines of a recipe."""
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in values.items())


def _merged(before: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(before)
    for name, value in values.items():
        merged[name] = {**(before.get(name) or {}), **value} if isinstance(value, Mapping) else value
    return merged


def _edited(text: str, values: Mapping[str, Any]) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    nodes = {key.value: node for key, node in root.value} if root else {}
    pieces: list[tuple[int, int, str]] = []
    new: dict[str, Any] = {}
    for name, value in values.items():
        node = nodes.get(name)
        if node is None:
            new[name] = value
        elif isinstance(value, Mapping) and isinstance(node, yaml.MappingNode) and node.value:
            pieces += _in_mapping(node, value)
        else:
            pieces.append((node.start_mark.index, _end(node), json.dumps(value)))
    for start, end, replacement in sorted(pieces, reverse=True):
        text = text[:start] + replacement + text[end:]
    if new and text and not text.endswith("\n"):
        text += "\n"
    return text + written(new)


def _in_mapping(node: yaml.MappingNode, values: Mapping[str, Any]) -> list[tuple[int, int, str]]:
    """Return what replaces which places of a mapping."""
    nodes = {key.value: value for key, value in node.value}
    last = _end(node.value[-1][1])
    indent = " " * node.value[0][0].start_mark.column
    pieces, added = [], ""
    for name, value in values.items():
        if name in nodes:
            pieces.append((nodes[name].start_mark.index, _end(nodes[name]), json.dumps(value)))
        else:
            added += (
                f", {json.dumps(name)}: {json.dumps(value)}"
                if node.flow_style
                else f"\n{indent}{name}: {json.dumps(value)}"
            )
    return [*pieces, (last, last, added)] if added else pieces


def _end(node: yaml.Node) -> int:
    """Return where a value ends; PyYAML has those in block style end where the next one begins."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    end: int = node.end_mark.index
    return end
