"""Where steps are cut, in the simplest way: every text is decoded anew from all ids."""

from collections.abc import Iterator, Sequence

from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import DELIMITER, Finish, Step


def naive_steps(
    tokenizer: ChatTokenizer, prefix: Sequence[Step], token_ids: Sequence[int], finish: Finish
) -> Iterator[Step]:
    before = [token_id for step in prefix for token_id in step.token_ids]
    num_tokens, num_chars = len(before), sum(len(step.text) for step in prefix)
    whole = [*before, *token_ids]
    for end in range(len(before) + 1, len(whole) + 1):
        is_last = end == len(whole)
        if not is_last and "\n" not in tokenizer.decode([whole[end - 1]]):
            continue
        text = tokenizer.decode(whole[:end])[num_chars:]
        if is_last or DELIMITER in text.lstrip():
            yield Step(text, tuple(whole[num_tokens:end]), finish if is_last else Finish.STEP)
            num_tokens, num_chars = end, num_chars + len(text)
