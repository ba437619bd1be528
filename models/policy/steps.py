"""Cuts a response into steps while it is generated.

A step ends with the token that completes the delimiter after visible text; where that token runs on behind the
delimiter, so does the step. A text is always what the token ids decode to: the texts of a response's steps join to the
text of all its ids, without the marks of its thoughts.

Thoughts are cut like everything else, and end with the token that completes their end mark. A step that holds a mark is
of the thoughts, so that the answer is what stands behind the last of them, however marks are doubled or nested.
"""

from collections.abc import Iterator, Sequence

from models.checkpoints.marks import Found
from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import Finish, Step
from models.policy.detokenizer import GrowingText
from models.policy.thoughts import Thoughts


class StepSplitter:
    """Cuts one response.

    Args:
        tokenizer: Of the policy.
        prefix: Steps of the response so far.
        thoughts: Of the response; None of a policy that has none.
    """

    def __init__(self, tokenizer: ChatTokenizer, prefix: Sequence[Step], thoughts: Thoughts | None = None) -> None:
        self._newline_ids = tokenizer.newline_ids
        self._text = GrowingText(tokenizer, [token_id for step in prefix for token_id in step.token_ids])
        self._token_ids: list[int] = []  # behind the last cut
        self._thoughts = thoughts
        self._lead = thoughts.rest if thoughts else ""  # taken from the text, and not yet part of a step

    @property
    def num_uncut(self) -> int:
        """Tokens behind the last step."""
        return len(self._token_ids)

    def feed(self, token_ids: Sequence[int], finish: Finish | None) -> Iterator[Step]:
        """Yield the steps that end with `token_ids`.

        Args:
            token_ids: What was generated since the last call.
            finish: Why generation ended after them; None when it goes on. The step there ends for the same reason,
                whatever its text.
        """
        last = len(token_ids) - 1
        for index, token_id in enumerate(token_ids):
            self._token_ids.append(token_id)
            self._text.add(token_id)
            is_last = finish is not None and index == last
            if self._thoughts is not None and (found := self._thoughts.see(token_id)):
                yield from self._pass(found, finish if is_last else None)
                if is_last:
                    return
            elif token_id in self._newline_ids and not is_last and self._text.has_step():
                yield self._cut(Finish.STEP)
        if finish:
            yield self._cut(finish)

    def _pass(self, found: Found, finish: Finish | None) -> Iterator[Step]:
        """Leave a mark out of the text; a step ends with an end mark."""
        text = self._lead + self._text.cut()
        self._lead = text.removesuffix(found.rest).removesuffix(found.mark.shown)
        if finish is not None or not found.mark.opens:
            yield self._cut(finish or Finish.STEP, is_thinking=True)
            self._lead = found.rest
        else:
            self._lead += found.rest

    def _cut(self, finish: Finish, *, is_thinking: bool | None = None) -> Step:
        if is_thinking is None:
            is_thinking = self._thoughts is not None and self._thoughts.is_open
        step = Step(self._lead + self._text.cut(), tuple(self._token_ids), finish, is_thinking)
        if is_thinking and self._thoughts is not None:
            self._thoughts.num_tokens += len(step.token_ids)
        self._token_ids.clear()
        self._lead = ""
        return step
