"""Step labels on disk: what `winnow label-steps` appends to, and what `winnow train-prm` reads, in any known format.

Knows what a policy's tokens make of a labelled response. Does not know how the labels were found, nor what a format
looks like (`models/labels/`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path
from unicodedata import normalize

from models.checkpoints.prompt import PromptBuilder
from models.files import Journal, UnreadableFileError, parse_object
from models.interfaces import Problem
from models.labels import own
from models.labels.formats import read_labels
from models.labels.response import LabelledResponse
from models.training.documents import Document
from models.training.prm.evidence import Evidence


class LabelsError(UnreadableFileError):
    """Step labels cannot be used; the message names the file and the line."""


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
        responses = [_read_own(line, file, number) for number, line in enumerate(whole, start=1)]
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
            add_evidence(self.evidence, response)


class LabelReader:
    """Reads label files for a policy.

    Attributes:
        skipped: What was wrong with the lines left out.

    Args:
        prompts: The policy's.
        num_tokens: Size of its vocabulary.
        max_tokens: Its context.
        format_name: Of the files; None recognises the format of each.
    """

    def __init__(
        self, prompts: PromptBuilder, num_tokens: int, max_tokens: int, format_name: str | None = None
    ) -> None:
        self.skipped: list[str] = []
        self._prompts = prompts
        self._num_tokens = num_tokens
        self._max_tokens = max_tokens
        self._format_name = format_name

    def read(self, files: Iterable[Path]) -> list[LabelledResponse]:
        """The responses that can be used, each with token ids.

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
        steps = response.token_ids or ()
        for step in steps:
            token_ids += step
            ends.append(len(token_ids) - 1)
        if response.is_complete and len(steps[-1]) > 1:
            ends[-1] -= 1  # the end of sequence is no part of the step, but judged like it
        known = [end for end, label in zip(ends, response.labels, strict=True) if label is not None]
        return Document(tuple(token_ids), len(prompt), tuple(known), response.known_labels)

    def _read_file(self, file: Path) -> Iterator[LabelledResponse]:
        try:
            found = list(read_labels(file, self._format_name))
        except UnreadableFileError as error:
            raise LabelsError(str(error)) from error
        for number, response in found:
            try:
                if isinstance(response, ValueError):
                    raise response
                yield self._usable(response)
            except ValueError as error:
                self.skipped.append(f"{file}, line {number}: {error}")

    def _usable(self, response: LabelledResponse) -> LabelledResponse:
        """Return a response in the policy's tokens.

        Raises:
            ValueError: The policy cannot read it.
        """
        if response.token_ids is None:
            response = replace(response, token_ids=self._spell(response))
        else:
            token_ids = [token_id for step in response.token_ids for token_id in step]
            spelt = all(0 <= token_id < self._num_tokens for token_id in token_ids)
            if not spelt or self._prompts.tokenizer.decode(token_ids) != response.text:
                raise ValueError("token_ids do not spell the steps in the policy's tokens")
        if (length := len(self.document(response).token_ids)) > self._max_tokens:
            raise ValueError(f"{length} tokens do not fit: at most {self._max_tokens} do")
        return response

    def _spell(self, response: LabelledResponse) -> tuple[tuple[int, ...], ...]:
        """Return the token ids of the steps: the whole text's, cut behind the token that completes a step."""
        tokenizer = self._prompts.tokenizer
        token_ids, begins = tokenizer.encode_with_places(response.text)
        if _plain(tokenizer.decode(token_ids)) != _plain(response.text):
            raise ValueError("its text cannot be spelt in the policy's tokens")
        steps, first, num_chars = [], 0, 0
        for number, step in enumerate(response.steps, start=1):
            num_chars += len(step)
            is_last = number == len(response.steps)
            after = (
                len(token_ids)
                if is_last
                else next((i for i in range(first, len(begins)) if begins[i] >= num_chars), len(begins))
            )
            if after == first:
                raise ValueError(f"step {number} has no token of its own in the policy's tokens")
            steps.append(token_ids[first:after])
            first = after
        if response.is_complete and tokenizer.end_id is not None:
            steps[-1] = (*steps[-1], tokenizer.end_id)
        return tuple(steps)


def add_evidence(evidence: Evidence, response: LabelledResponse) -> None:
    """Count a response."""
    evidence.add(response.problem, response.known_labels, response.states_answer, response.is_complete)


def _plain(text: str) -> str:
    """A text without what tokenizers do to it: normal forms, and space around it."""
    return normalize("NFKC", text).strip()


def is_held_out(problem: str, share: float) -> bool:
    """True for a `share` of problems, by a hash of the text: whatever file a problem comes from, and whenever.

    Another hash than the demo tasks': `winnow tasks` writes only what that one holds out.
    """
    digest = blake2b(problem.encode(errors="replace"), digest_size=8, person=b"train-prm").digest()
    return int.from_bytes(digest, "big") < share * 2**64


def _read_own(line: bytes, file: Path, number: int) -> LabelledResponse:
    try:
        (response,) = own.read(parse_object(line))
    except ValueError as error:
        raise LabelsError(f"{file}, line {number}: {error}") from error
    return response
