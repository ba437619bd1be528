"""Step labels on disk: JSON lines, a response each, as `winnow label-steps` writes and `winnow train-prm` reads them.

Knows the fields of a line and what can be wrong with it. Does not know how the labels were found.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from models.checkpoints.prompt import PromptBuilder
from models.files import Journal, UnreadableFileError, read_lines
from models.interfaces import Problem
from models.training.documents import Document
from models.training.prm.evidence import Evidence


class LabelsError(UnreadableFileError):
    """Step labels cannot be used; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class LabelledResponse:
    """A response whose steps are labelled.

    Attributes:
        problem: What it answers.
        answer: The right answer.
        steps: Text of each step, with its delimiter.
        token_ids: Of each step, as the policy sampled them; of the last one with the end of the sequence.
        labels: Of each step, in [0, 1]: how likely a response that goes on from there is to be right.
        is_complete: Whether the policy ended it; if not it was cut at the token limit.
        system_prompt: Instruction under which it was sampled.
        family: Kind of the problem, if the data says it.
        error_kind: Kind of the first error, if the data says it.
        states_answer: Whether an answer was read in it; None where labels do not rest on answers.
    """

    problem: str
    answer: str
    steps: tuple[str, ...]
    token_ids: tuple[tuple[int, ...], ...]
    labels: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    is_complete: bool
    system_prompt: str | None = None
    family: str | None = None
    error_kind: str | None = None
    states_answer: bool | None = None

    def __post_init__(self) -> None:
        if not len(self.steps) == len(self.token_ids) == len(self.labels) > 0:
            raise ValueError("steps, token_ids and labels must be of the same number, at least one")
        if not all(self.token_ids):
            raise ValueError("token_ids of a step are empty")

    def add_to(self, evidence: Evidence) -> None:
        """Count the response."""
        evidence.add(self.problem, self.labels, self.states_answer, self.is_complete)


_RESPONSE = TypeAdapter(LabelledResponse)


class LabelFile:
    """The file that a labelling appends to, a problem at a time; one that was interrupted goes on behind the last.

    Attributes:
        problems: Texts of the problems that are done.
        evidence: What their labels say.

    Args:
        file: What a torn end leaves of a problem is cut off; a problem there with fewer responses is done anew.
        num_responses: Responses to each problem.

    Raises:
        LabelsError: The file holds something else; it is left as it is.
    """

    def __init__(self, file: Path, num_responses: int) -> None:
        self._journal = Journal(file)
        lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        responses = [_read(line, file, number) for number, line in enumerate(whole, start=1)]
        problems = [response.problem for response in responses]
        num_kept = len(problems)
        if problems and problems.count(problems[-1]) < num_responses:
            num_kept = problems.index(problems[-1])
        self.problems: set[str] = set()
        self.evidence = Evidence()
        self._count(responses[:num_kept])
        if num_kept < len(lines):
            with file.open("r+b") as opened:
                opened.truncate(sum(map(len, whole[:num_kept])))

    def append(self, responses: Sequence[LabelledResponse]) -> None:
        """Write all responses to one problem.

        Raises:
            UnwritableFileError: The disk is full, for example; what was written is kept.
        """
        self._journal.append(*map(asdict, responses))
        self._count(responses)

    def _count(self, responses: Sequence[LabelledResponse]) -> None:
        self.problems |= {response.problem for response in responses}
        for response in responses:
            response.add_to(self.evidence)


class LabelReader:
    """Reads label files for a policy.

    Attributes:
        skipped: What was wrong with the lines left out.

    Args:
        prompts: The policy's.
        num_tokens: Size of its vocabulary.
        max_tokens: Its context.
    """

    def __init__(self, prompts: PromptBuilder, num_tokens: int, max_tokens: int) -> None:
        self.skipped: list[str] = []
        self._prompts = prompts
        self._num_tokens = num_tokens
        self._max_tokens = max_tokens

    def read(self, files: Iterable[Path]) -> list[LabelledResponse]:
        """The responses that can be used.

        Raises:
            LabelsError: A file cannot be read, or there are none.
        """
        responses = [response for file in files for response in self._read_file(file)]
        if not responses:
            first = f"; the first line left out: {self.skipped[0]}" if self.skipped else ""
            raise LabelsError(f"no labelled response can be used{first}")
        return responses

    def document(self, response: LabelledResponse) -> Document:
        """What the reward model learns of a response: as the verifier is served it, behind the policy's prompt."""
        prompt = self._prompts.build(Problem(response.problem, response.system_prompt))
        token_ids, ends = list(prompt), []
        for step in response.token_ids:
            token_ids += step
            ends.append(len(token_ids) - 1)
        if response.is_complete and len(response.token_ids[-1]) > 1:
            ends[-1] -= 1  # the end of sequence is no part of the step, but judged like it
        return Document(tuple(token_ids), len(prompt), tuple(ends), response.labels)

    def _read_file(self, file: Path) -> Iterable[LabelledResponse]:
        try:
            lines = read_lines(file)
        except UnreadableFileError as error:
            raise LabelsError(str(error)) from error
        for number, line in lines:
            try:
                response = _read(line, file, number)
                self._check(response, f"{file}, line {number}")
            except LabelsError as error:
                self.skipped.append(str(error))
            else:
                yield response

    def _check(self, response: LabelledResponse, place: str) -> None:
        token_ids = [token_id for step in response.token_ids for token_id in step]
        spelt = all(0 <= token_id < self._num_tokens for token_id in token_ids)
        if not spelt or self._prompts.tokenizer.decode(token_ids) != "".join(response.steps):
            raise LabelsError(f"{place}: token_ids do not spell the steps in the policy's tokens")
        if (length := len(self.document(response).token_ids)) > self._max_tokens:
            raise LabelsError(f"{place}: {length} tokens do not fit: at most {self._max_tokens} do")


def is_held_out(problem: str, share: float) -> bool:
    """True for a `share` of problems, by a hash of the text: whatever file a problem comes from, and whenever.

    Another hash than the demo tasks': `winnow tasks` writes only what that one holds out.
    """
    digest = blake2b(problem.encode(errors="replace"), digest_size=8, person=b"train-prm").digest()
    return int.from_bytes(digest, "big") < share * 2**64


def _read(line: bytes, file: Path, number: int) -> LabelledResponse:
    try:
        return _RESPONSE.validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise LabelsError(f"{file}, line {number}: {field + ': ' if field else ''}{first['msg']}") from error
