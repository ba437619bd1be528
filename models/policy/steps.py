"""Cuts a response into steps while it is generated.

A step ends with the token that completes the delimiter after visible text; where that token runs on behind the
delimiter, so does the step. A text is always what the token ids decode to: the texts of a response's steps join to the
text of all its ids.
"""

from collections.abc import Iterator, Sequence

from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import Finish, Step
from models.policy.detokenizer import GrowingText


class StepSplitter:
    """Cuts one response.

    Args:
        tokenizer: Of the policy.
        prefix: Steps of the response so far.
    """

    def __init__(self, tokenizer: ChatTokenizer, prefix: Sequence[Step]) -> None:
        self._newline_ids = tokenizer.newline_ids
        self._text = GrowingText(tokenizer, [token_id for step in prefix for token_id in step.token_ids])
        self._token_ids: list[int] = []  # behind the last cut

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
            may_end = token_id in self._newline_ids and not (finish and index == last)
            if may_end and self._text.has_step():
                yield self._cut(Finish.STEP)
        if finish:
            yield self._cut(finish)

    def _cut(self, finish: Finish) -> Step:
        step = Step(self._text.cut(), tuple(self._token_ids), finish)
        self._token_ids.clear()
        return step
