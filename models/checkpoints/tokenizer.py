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

from jinja2 import TemplateError
from tokenizers import AddedToken

from models.checkpoints.chat_template import compile_template, render
from models.checkpoints.pretrained import TOKENIZER_FILE, read_pretrained
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
        self._pretrained = read_pretrained(directory)
        self._tokenizer = self._pretrained.tokenizer
        self._tokenizer.encode_special_tokens = True  # no special token is seen in a text
        if self.vocabulary.keys() <= {token.content for token in self._added.values()}:
            raise CheckpointError(f"{self._file}: is missing or holds no tokens")

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Ids of all tokens."""
        return self._tokenizer.get_vocab()

    @property
    def begin_ids(self) -> tuple[int, ...]:
        """Id of the token that begins a text; none for a tokenizer that has no such token."""
        begin_id = self.vocabulary.get(self._pretrained.named_tokens.get("bos_token", ""))
        return () if begin_id is None else (begin_id,)

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
        size = self._tokenizer.get_vocab_size()
        return [self._tokenizer.decode([token], skip_special_tokens=False) for token in range(size)]

    @property
    def _added(self) -> dict[int, AddedToken]:
        added: dict[int, AddedToken] = self._tokenizer.get_added_tokens_decoder()
        return added

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of `token_ids`, special tokens left out."""
        text: str = self._tokenizer.decode(list(token_ids), skip_special_tokens=True)
        return text

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of plain text, in which no special token is seen."""
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

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
        characters = str(self._tokenizer.id_to_token(token_id))
        spelling = [self.id_of_token(character) for character in characters]
        return [part for each in token_ids for part in (spelling if each == token_id else [each])]

    def require_ids_below(self, vocab_size: int) -> None:
        """See that plain text has no id that a model with `vocab_size` tokens does not know.

        Raises:
            CheckpointError: The tokenizer is another model's.
        """
        num_tokens = self._tokenizer.get_vocab_size(with_added_tokens=False)
        if num_tokens > vocab_size:
            raise CheckpointError(f"{self._file}: {num_tokens} tokens, but vocab_size in config.json is {vocab_size}")


class ChatTokenizer(TextTokenizer):
    """The tokenizer of a checkpoint, with its chat template.

    Args:
        directory: Of the checkpoint.

    Raises:
        CheckpointError: The tokenizer or its chat template is missing, or cannot be used piece by piece.
    """

    _asks = True
    """Whether a chat ends where the assistant speaks next."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        if not self._pretrained.chat_template:
            raise CheckpointError(f"{directory}: chat_template is missing")
        try:
            self._template = compile_template(self._pretrained.chat_template)
        except TemplateError as error:
            raise CheckpointError(f"{directory}: chat_template cannot be read ({error})") from error
        self._special_ids = {token.content: token_id for token_id, token in self._added.items() if token.special}
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
        chat = [{"role": role, "content": content} for role, content in messages]
        variables = {**self._pretrained.named_tokens, "date_string": DATE, "add_generation_prompt": self._asks}
        try:
            return render(self._template, chat, **variables)
        except TemplateError as error:
            raise CheckpointError(f"{self._file.parent}: chat_template refuses {messages[0][0]!r}: {error}") from error

    def _require_pieces_to_join(self) -> None:
        """A tokenizer that puts something in front of every text (SentencePiece) cannot be used piece by piece."""
        chat = [("user", "What is 1 + 1?")]
        self._tokenizer.encode_special_tokens = False
        whole = self._tokenizer.encode(self._render(chat), add_special_tokens=False).ids
        self._tokenizer.encode_special_tokens = True
        if self.encode_chat(chat) != tuple(whole):
            raise CheckpointError(f"{self._file}: text between special tokens cannot be tokenised on its own")
