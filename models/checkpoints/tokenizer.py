"""A checkpoint's tokenizer and chat template, proof against text that spells special tokens.

A chat is rendered with a mark in place of each content, and cut at the special tokens of the template alone; what lies
between them, contents included, is tokenised as plain text. So a user who writes `<|im_end|>` sends those ten
characters, and a chat that spells no special token gets the ids that the template alone would give it.

Knows nothing of problems, steps or engines.
"""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from models.checkpoints.checkpoint import TOKENIZER_FILE
from models.errors import CheckpointError
from models.interfaces import DELIMITER

MARK = "\ue000{}\ue001"
"""Stands for the content of a message: private-use characters, which no template looks for."""

DATE = "26 Jul 2024"
"""What Llama's templates say is today: their own default. The real date would change all prompts overnight."""

Message = tuple[str, str]
"""Role and content."""


class TextTokenizer:
    """The tokenizer of a checkpoint.

    Args:
        directory: Of the checkpoint.

    Raises:
        CheckpointError: The tokenizer is missing.
    """

    def __init__(self, directory: Path) -> None:
        self._file = directory / TOKENIZER_FILE
        try:
            self._tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(directory)
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(f"{self._file}: cannot be read ({error})") from error
        if self.vocabulary.keys() <= {token.content for token in self._tokenizer.added_tokens_decoder.values()}:
            raise CheckpointError(f"{self._file}: is missing or holds no tokens")

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Ids of all tokens."""
        return self._tokenizer.get_vocab()

    @property
    def begin_ids(self) -> tuple[int, ...]:
        """Id of the token that begins a text; none for a tokenizer that has no such token."""
        begin_id = self._tokenizer.bos_token_id
        return (begin_id,) if isinstance(begin_id, int) else ()

    @cached_property
    def newline_ids(self) -> frozenset[int]:
        """Ids of the tokens whose text holds a newline; only these can complete a delimiter."""
        return frozenset(token for token, text in enumerate(self._texts) if "\n" in text)

    @cached_property
    def delimiter_ids(self) -> tuple[int, ...]:
        """Ids of the tokens whose text holds a delimiter, in order: BPE finds the commonest first."""
        return tuple(token for token, text in enumerate(self._texts) if DELIMITER in text)

    @cached_property
    def _texts(self) -> list[str]:
        return self._tokenizer.batch_decode([[token] for token in range(len(self._tokenizer))])

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of `token_ids`, special tokens left out."""
        text = self._tokenizer.decode(list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert isinstance(text, str)  # noqa: S101 - one sequence, one text
        return text

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of plain text, in which no special token is seen."""
        return tuple(self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    def id_of(self, token: str) -> int:
        """Id of a text that must be one token.

        Raises:
            CheckpointError: It is not one.
        """
        token_ids = self.encode(token)
        if len(token_ids) != 1:
            raise CheckpointError(f"{self._file}: {token!r} is {len(token_ids)} tokens, not one")
        return token_ids[0]

    def id_of_token(self, token: str) -> int:
        """Id of a token by its name, which text may not be able to spell.

        Raises:
            CheckpointError: There is no such token.
        """
        if token not in self.vocabulary:
            raise CheckpointError(f"{self._file}: {token!r} is not in the vocabulary")
        return self.vocabulary[token]

    def spell_out(self, token_ids: Sequence[int], token_id: int) -> list[int]:
        """Put the ids of its characters in place of a token that a text must not hold, for it means something else.

        Raises:
            CheckpointError: A character of the token is not a token.
        """
        if token_id not in token_ids:
            return list(token_ids)
        characters = str(self._tokenizer.convert_ids_to_tokens(token_id))
        spelling = [self.id_of_token(character) for character in characters]
        return [part for each in token_ids for part in (spelling if each == token_id else [each])]

    def require_ids_below(self, vocab_size: int) -> None:
        """See that plain text has no id that a model with `vocab_size` tokens does not know.

        Raises:
            CheckpointError: The tokenizer is another model's.
        """
        if self._tokenizer.vocab_size > vocab_size:
            raise CheckpointError(
                f"{self._file}: {self._tokenizer.vocab_size} tokens, but vocab_size in config.json is {vocab_size}"
            )


class ChatTokenizer(TextTokenizer):
    """The tokenizer of a checkpoint, with its chat template.

    Args:
        directory: Of the checkpoint.

    Raises:
        CheckpointError: The tokenizer or its chat template is missing, or cannot be used piece by piece.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        if not self._tokenizer.chat_template:
            raise CheckpointError(f"{directory}: chat_template is missing")
        added = self._tokenizer.added_tokens_decoder
        self._special_ids = {token.content: token_id for token_id, token in added.items() if token.special}
        longest_first = sorted(self._special_ids, key=len, reverse=True)
        self._special = re.compile(f"({'|'.join(map(re.escape, longest_first))})")
        self._require_pieces_to_join()

    def encode_chat(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Ids of a chat up to where the assistant speaks next. Space around a content is dropped.

        Raises:
            CheckpointError: The chat template has no place for one of the roles.
        """
        marks = {MARK.format(index): content.strip() for index, (_, content) in enumerate(messages)}
        chat = self._render([(role, mark) for (role, _), mark in zip(messages, marks, strict=True)])
        for mark, (role, _) in zip(marks, messages, strict=True):
            if mark not in chat:
                raise CheckpointError(f"{self._file.parent}: chat_template leaves out the {role} message")
        pattern = re.compile("|".join(marks))
        token_ids: list[int] = []
        for index, piece in enumerate(self._special.split(chat)):
            is_special = index % 2 == 1  # split() returns what is between the special tokens, and these, in turn
            if is_special:
                token_ids.append(self._special_ids[piece])
            else:
                token_ids += self.encode(pattern.sub(lambda match: marks[match[0]], piece))
        return tuple(token_ids)

    def spells_special_token(self, text: str) -> bool:
        """True for a text that a careless tokenizer would read as more than text."""
        return self._special.search(text) is not None

    def _render(self, messages: Sequence[Message]) -> str:
        chat: list[dict[str, Any]] = [{"role": role, "content": content} for role, content in messages]
        try:
            text = self._tokenizer.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=True, date_string=DATE
            )
        except TemplateError as error:
            raise CheckpointError(f"{self._file.parent}: chat_template refuses {messages[0][0]!r}: {error}") from error
        assert isinstance(text, str)  # noqa: S101 - asked for with tokenize=False
        return text

    def _require_pieces_to_join(self) -> None:
        """A tokenizer that puts something in front of every text (SentencePiece) cannot be used piece by piece."""
        chat = [("user", "What is 1 + 1?")]
        whole = self._tokenizer(self._render(chat), add_special_tokens=False)["input_ids"]
        if self.encode_chat(chat) != tuple(whole):
            raise CheckpointError(f"{self._file}: text between special tokens cannot be tokenised on its own")
