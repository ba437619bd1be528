"""Cuts a response into steps while it is generated.

Where a step ends is the business of its rule (`models/policy/step_ends.py`); a cut is always where a token ends. A text
is always what the token ids decode to: the texts of a response's steps join to the text of all its ids.
"""

from collections import deque
from collections.abc import Iterator, Sequence

from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import PARAGRAPHS, Finish, Step, StepRule
from models.policy.detokenizer import GrowingText
from models.policy.step_ends import Cut, find_end

MAX_STEPS = 1024
"""Steps of a response, of which the last is the rest: a search looks at all of them whenever one is added."""


class StepSplitter:
    """Cuts one response.

    Args:
        tokenizer: Of the policy.
        prefix: Steps of the response so far. What its last one holds `ahead` is not read by itself: feed it.
        rule: Where steps end.
    """

    def __init__(self, tokenizer: ChatTokenizer, prefix: Sequence[Step], rule: StepRule = PARAGRAPHS) -> None:
        self._tokenizer = tokenizer
        self._rule = rule
        self._text = GrowingText(tokenizer, [token_id for step in prefix for token_id in step.token_ids])
        self._end = find_end(rule, tokenizer, prefix[-1].text if prefix else "")
        self._token_ids: list[int] = []  # behind the last cut
        self._num_steps = len(prefix)

    def feed(self, token_ids: Sequence[int], finish: Finish | None) -> Iterator[Step]:
        """Yield the steps that end with `token_ids`.

        Args:
            token_ids: What was generated since the last call.
            finish: Why generation ended after them; None when it goes on. The step there ends for the same reason,
                whatever its text.
        """
        coming = deque(token_ids)
        while coming:
            token_id = coming.popleft()
            self._token_ids.append(token_id)
            self._text.add(token_id)
            if finish and not coming:
                break
            if self._num_steps < MAX_STEPS - 1 and (cut := self._end.after(token_id, self._text)):
                ahead = tuple(self._token_ids[cut.num_tokens :])
                coming.extendleft(reversed(ahead))
                yield self._cut(Finish.STEP, cut, ahead)
        if finish:
            yield self._cut(finish, Cut(len(self._token_ids)))

    def _cut(self, finish: Finish, cut: Cut, ahead: tuple[int, ...] = ()) -> Step:
        step = Step(self._text.cut(cut.num_chars), tuple(self._token_ids[: cut.num_tokens]), finish, ahead)
        self._token_ids.clear()
        self._num_steps += 1
        self._end = find_end(self._rule, self._tokenizer, step.text)
        return step
