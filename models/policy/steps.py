"""Cuts a response into steps while it is generated.

Where a step ends is the business of its rule (`models/policy/step_ends.py`); a cut is always where a token ends. A text
is always what the token ids decode to: the texts of a response's steps join to the text of all its ids, without the
marks of its thoughts.

Thoughts are cut like everything else. A mark ends a step too, and a step that ends with one is of the thoughts: so the
answer is what stands behind the last mark, however marks are doubled or nested.
"""

from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, repeat

from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import PARAGRAPHS, Finish, Said, Step, StepRule
from models.policy.detokenizer import GrowingText
from models.policy.marks import Found
from models.policy.step_ends import Cut, find_end
from models.policy.thoughts import Thoughts

MAX_STEPS = 1024
"""Steps of a response, of which the last is the rest: a search looks at all of them whenever one is added."""


class StepSplitter:
    """Cuts one response.

    Args:
        tokenizer: Of the policy.
        prefix: Steps of the response so far. What its last one holds `ahead` is not read by itself: feed it.
        rule: Where steps end.
        thoughts: Of the response; None of a policy that has none.
        has_confidences: Whether the steps keep the confidences of their tokens.
    """

    def __init__(
        self,
        tokenizer: ChatTokenizer,
        prefix: Sequence[Step],
        rule: StepRule = PARAGRAPHS,
        thoughts: Thoughts | None = None,
        *,
        has_confidences: bool = False,
    ) -> None:
        self._tokenizer = tokenizer
        self._rule = rule
        self._text = GrowingText(tokenizer, list(chain.from_iterable(step.token_ids for step in prefix)))
        self._end = find_end(rule, tokenizer, prefix[-1].text if prefix else "")
        self._token_ids: list[int] = []  # behind the last cut
        self._has_confidences = has_confidences
        self._said: list[Said | None] = []  # of these tokens
        self._num_steps = len(prefix)
        self._thoughts = thoughts
        self._lead = thoughts.rest if thoughts else ""  # text behind a mark in the mark's own token
        self._num_known = 0  # tokens that come again, and hold no mark

    @property
    def num_uncut(self) -> int:
        """Tokens behind the last step."""
        return len(self._token_ids)

    def feed(
        self, token_ids: Sequence[int], finish: Finish | None, said: Sequence[Said | None] | None = None
    ) -> Iterator[Step]:
        """Yield the steps that end with `token_ids`.

        Args:
            token_ids: What was generated since the last call.
            finish: Why generation ended after them; None when it goes on. The step there ends for the same reason,
                whatever its text.
            said: Confidences of the tokens; None of those that were written, not sampled.
        """
        coming = deque(zip(token_ids, said or repeat(None), strict=False))
        while coming:
            token_id, said_of_it = coming.popleft()
            self._token_ids.append(token_id)
            self._said.append(said_of_it)
            self._text.add(token_id)
            if mark := self._mark_at(token_id):
                yield self._cut_at(mark, Finish.STEP if coming or not finish else finish)
                if finish and not coming:
                    return
                continue
            if finish and not coming:
                break
            if self._num_steps < MAX_STEPS - 1 and (cut := self._end.after(token_id, self._text)):
                ahead = tuple(self._token_ids[cut.num_tokens :])
                coming.extendleft(reversed([*zip(ahead, self._said[cut.num_tokens :], strict=True)]))
                self._num_known = len(ahead)
                yield self._cut(Finish.STEP, cut, ahead)
        if finish:
            yield self._cut(finish, Cut(len(self._token_ids)))

    def _mark_at(self, token_id: int) -> Found | None:
        if self._num_known:
            self._num_known -= 1
            return None
        return self._thoughts.see(token_id) if self._thoughts is not None else None

    def _cut_at(self, found: Found, finish: Finish) -> Step:
        """End a step with a mark, which is left out of its text."""
        text = (self._lead + self._text.cut()).removesuffix(found.rest)
        text = text[: max(len(text) - len(found.mark.shown), 0)]
        return self._end_step(text, len(self._token_ids), finish, is_thinking=True, lead=found.rest)

    def _cut(self, finish: Finish, cut: Cut, ahead: tuple[int, ...] = ()) -> Step:
        is_thinking = self._thoughts is not None and self._thoughts.is_open
        text = self._lead + self._text.cut(cut.num_chars)
        return self._end_step(text, cut.num_tokens, finish, is_thinking=is_thinking, ahead=ahead)

    def _end_step(
        self,
        text: str,
        num_tokens: int,
        finish: Finish,
        *,
        is_thinking: bool,
        ahead: tuple[int, ...] = (),
        lead: str = "",
    ) -> Step:
        step = Step(text, tuple(self._token_ids[:num_tokens]), finish, ahead, is_thinking)
        if self._has_confidences:
            step = _with_confidences(step, self._said)
        self._said.clear()
        if is_thinking and self._thoughts is not None:
            self._thoughts.num_tokens += num_tokens
        self._token_ids.clear()
        self._num_steps += 1
        self._lead = lead
        self._end = find_end(self._rule, self._tokenizer, step.text)
        return step


def _with_confidences(step: Step, said: Sequence[Said | None]) -> Step:
    """Add what was said of the tokens of a step, and of those ahead."""
    num_tokens = len(step.token_ids)
    own = [each for each in said[:num_tokens] if each is not None]
    return replace(
        step,
        confidences=array("f", [confidence for confidence, _ in own]),
        logprobs=array("f", [logprob for _, logprob in own]),
        ahead_confidences=tuple(said[num_tokens:]),
    )
