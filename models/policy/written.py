"""Cuts responses that were written elsewhere into steps, as the policy's own responses are cut.

A text is tokenised by the policy's tokenizer, which sees no special token in it, and cut by the same rule. A response
that comes in steps keeps them: each is tokenised alone, and gets the delimiter that it lacks. A complete response ends
with the token that ends a sequence, since that is where a verifier reads the score of a policy's last step.

What stands up to the last mark that closes thoughts is of the thoughts, and so is all of it where they are left open.
"""

from collections.abc import Sequence

from models.checkpoints.marks import Marks
from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import Delimiter, Finish, Step, StepRule
from models.policy.steps import StepSplitter


def written_steps(
    prompts: PromptBuilder, response: str | Sequence[str], rule: StepRule, *, is_complete: bool
) -> tuple[Step, ...]:
    """Return the steps of a response.

    Args:
        prompts: The policy's.
        response: A text, or the texts of its steps.
        rule: Where the steps of a text end.
        is_complete: Whether the response ends here, or another step is to follow.
    """
    tokenizer = prompts.tokenizer
    pieces = [response] if isinstance(response, str) else list(response)
    num_thoughts, pieces = _split_thoughts(pieces, prompts.marks)
    thoughts = [
        Step(_without_marks(piece, prompts.marks), tokenizer.encode(piece), Finish.STEP, is_thinking=True)
        for piece in pieces[:num_thoughts]
    ]
    rest = pieces[num_thoughts:]
    finish = Finish.END if is_complete else Finish.STEP
    end_ids = (tokenizer.end_id,) if is_complete and tokenizer.end_id is not None else ()
    if isinstance(response, str):
        splitter = StepSplitter(tokenizer, thoughts, rule)
        return *thoughts, *splitter.feed((*tokenizer.encode("".join(rest)), *end_ids), finish)
    return *thoughts, *_kept(tokenizer, rest, rule, finish, end_ids)


def _kept(
    tokenizer: ChatTokenizer, pieces: Sequence[str], rule: StepRule, finish: Finish, end_ids: tuple[int, ...]
) -> list[Step]:
    delimiter = rule.text if isinstance(rule, Delimiter) else ""
    steps = []
    for number, piece in enumerate(pieces, 1):
        is_end = number == len(pieces) and finish is Finish.END
        text = piece if is_end or piece.endswith(delimiter) else piece + delimiter
        token_ids = tokenizer.encode(text) + (end_ids if is_end else ())
        steps.append(Step(text, token_ids, finish if number == len(pieces) else Finish.STEP))
    return steps


def _split_thoughts(pieces: list[str], marks: Marks | None) -> tuple[int, list[str]]:
    """Return how many pieces are of the thoughts, and the pieces; one in which the thoughts end becomes two."""
    if marks is None:
        return 0, pieces
    for place in reversed(range(len(pieces))):
        piece = pieces[place]
        end = max((piece.rfind(mark) + len(mark) for mark in marks.ends if mark in piece), default=0)
        if marks.start in piece[end:]:
            return len(pieces), pieces
        if end:
            behind = [piece[end:].lstrip()] if piece[end:].strip() else []
            return place + 1, [*pieces[:place], piece[:end], *behind, *pieces[place + 1 :]]
    return 0, pieces


def _without_marks(text: str, marks: Marks | None) -> str:
    for mark in marks.texts if marks else ():
        text = text.replace(mark, "")
    return text
