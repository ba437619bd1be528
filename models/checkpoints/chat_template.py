"""Renders chat templates as Hugging Face does: the same Jinja environment, filters and functions.

Source: `transformers.utils.chat_template_utils`, without which a gateway starts.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import Environment, Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment


class GenerationTag(Extension):
    """`{% generation %}` marks what the assistant says, for training; here it is rendered as what is in it."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Read up to `{% endgeneration %}`."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def compile_template(text: str) -> Template:
    """Compile a chat template.

    Raises:
        TemplateError: It is not Jinja.
    """
    return _environment().from_string(text)


def variables_of(text: str) -> frozenset[str]:
    """Return the variables that a chat template reads and does not set."""
    return frozenset(find_undeclared_variables(_environment().parse(text)))


def _environment() -> Environment:
    environment: Environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals |= {"raise_exception": _raise_exception, "strftime_now": _strftime_now}
    return environment


def render(template: Template, messages: Sequence[Mapping[str, Any]], **variables: Any) -> str:
    """Render a chat.

    Raises:
        TemplateError: The template refuses it.
    """
    return template.render(**{"messages": messages, "tools": None, "documents": None} | variables)


def _to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)
