"""What runs in the process that tries a grammar before the engine sees it: its limits, and one grammar at a time.

Does what the engine does with llguidance, in the same order: reads the grammar, compiles it for the policy's
vocabulary, and says which tokens may come, step after step. Imports neither vLLM nor torch, so that it starts at once.
"""

import random
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import llguidance
import psutil
from llguidance import LLMatcher, LLTokenizer
from llguidance._grammar_from import GrammarFormat

NUM_STEPS = 24
"""Tokens that are tried: some grammars are cheap to compile and dear to follow."""
NOTHING = "allows no text at all"
TOO_DEAR = "takes too much to compile or to follow; allowed: less of it, such as fewer optional properties"

Constraint = tuple[str, str]
"""Kind (json, json_object, regex, choice or grammar), and what says it."""


class _Tokenizer:
    """The policy's, read once a process."""

    loaded: LLTokenizer | None = None


def start_worker(tokenizer: str, end_id: int | None, memory_bytes: int) -> None:
    """Read the tokenizer and limit this process for good; a termination signal ends it in the middle of anything.

    Args:
        tokenizer: As JSON.
        end_id: Of the token that ends a text; None leaves it to the tokenizer.
        memory_bytes: Address space that a grammar may take, beyond what is taken by then.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it ends
    _Tokenizer.loaded = LLTokenizer(tokenizer, eos_token=end_id)
    LLMatcher(_Tokenizer.loaded, llguidance.grammar_from("regex", "a")).compute_bitmask()  # starts its threads
    most = psutil.Process().memory_info().vms + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def try_grammar(timeout_s: float, read_within_s: float, constraint: Constraint) -> str | None:
    """Return why a grammar cannot be served, or None.

    Args:
        timeout_s: CPU time after which the kernel ends this process.
        read_within_s: CPU time that reading alone may take.
        constraint: The grammar.
    """
    with _limited(timeout_s):
        started = time.process_time()
        try:
            grammar = _read(*constraint)
            trouble: str = LLMatcher.validate_grammar(grammar, _Tokenizer.loaded)
        except (ValueError, RecursionError) as error:
            return _sentence(str(error))
        if trouble:
            return _sentence(trouble)
        if time.process_time() - started > read_within_s:
            return TOO_DEAR
        return _follow(grammar)


def _read(kind: str, text: str) -> str:
    """Return the grammar in llguidance's own words, as vLLM's backend does."""
    if kind == "json_object":
        kind, text = "json", '{"type": "object"}'
    if kind == "json":
        grammar: str = LLMatcher.grammar_from_json_schema(text, defaults={"whitespace_flexible": True})
        return grammar
    return llguidance.grammar_from(cast(GrammarFormat, kind), text)


def _follow(grammar: str) -> str | None:
    """Take some tokens that a grammar allows, one after the other."""
    assert _Tokenizer.loaded is not None  # noqa: S101 - start_worker has read it
    matcher, rng = LLMatcher(_Tokenizer.loaded, grammar, log_level=0), random.Random(0)
    for num_tokens in range(NUM_STEPS):
        allowed = int.from_bytes(matcher.compute_bitmask(), "little")
        if matcher.is_error():
            is_empty = num_tokens == 0 and matcher.get_error().startswith("NoExtension")
            return NOTHING if is_empty else TOO_DEAR
        if matcher.is_stopped() or not allowed:
            return None
        if not matcher.consume_token(_choose(allowed, rng)):
            return TOO_DEAR if matcher.is_error() else None
    return None


def _choose(allowed: int, rng: random.Random) -> int:
    """Return one of the tokens whose bits are set."""
    first = rng.randrange(allowed.bit_length())
    rest = allowed >> first
    return first + (rest & -rest).bit_length() - 1


def _sentence(trouble: str) -> str:
    """Return a vendor's complaint on one line, without what only its authors understand."""
    if "panic" in trouble:
        return TOO_DEAR
    line = " ".join(trouble.partition("<backtrace>")[0].split()) or NOTHING
    return f"cannot be compiled: {line.encode('ascii', 'backslashreplace').decode():.200}"


@contextmanager
def _limited(timeout_s: float) -> Iterator[None]:
    """Let the kernel end this process by SIGPROF if the block takes more CPU time."""
    signal.setitimer(signal.ITIMER_PROF, timeout_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
