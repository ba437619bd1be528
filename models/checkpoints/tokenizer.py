"""A checkpoint's tokenizer and chat template, proof against text that spells special tokens.

A chat is rendered with a mark in place of each content, and cut at the special tokens of the template alone; what lies
between them, contents included, is tokenised as plain text. So a user who writes `<|im_end|>` sends those ten
characters, and a chat that spells no special token gets the ids that the template alone would give it.

Knows nothing of problems, steps or engines.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import TemplateError
from tokenizers import AddedToken

from models.checkpoints.chat_template import compile_template, render, variables_of
from models.checkpoints.nature import without_template
from models.checkpoints.pretrained import TOKENIZER_FILE, read_pretrained
from models.errors import CheckpointError
from models.interfaces import DELIMITER

MARK = "\ue000{}\ue001"
"""Stands for the content of a message: private-use characters, which no template looks for."""

DATE = "26 Jul 2024"
"""What Llama's templates say is today: their own default. The real date would change all prompts overnight."""

NUM_KEPT = 64
"""Delimiters whose tokens are kept."""

Message = tuple[str, str]
"""Role and content."""

Piece = str | bytes
"""What a token adds to a text: characters, or bytes that can be part of one."""

SLIPS = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError)
"""What a template raises for an argument of a type that it did not reckon with."""

NO_VARIABLES: Mapping[str, Any] = MappingProxyType({})
REPLACEMENT = "\ufffd"
BYTE_TOKEN = re.compile("<0x([0-9A-Fa-f]{2})>")
_VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [byte for byte in range(0x100) if byte not in _VISIBLE]
BYTES_OF = {chr(byte): byte for byte in _VISIBLE} | {chr(0x100 + place): byte for place, byte in enumerate(_OTHERS)}
"""Bytes by the characters that stand for them in the names of byte-level tokens."""


class TextTokenizer:
    """The tokenizer of a checkpoint.

    Args:
        directory: Of the checkpoint.

    Raises:
        CheckpointError: The tokenizer is missing.
    """

    def __init__(self, directory: Path) -> None:
        self.file = directory / TOKENIZER_FILE
        self._pretrained = read_pretrained(directory)
        self._tokenizer = self._pretrained.tokenizer
        self._tokenizer.encode_special_tokens = True  # no special token is seen in a text
        if self.vocabulary.keys() <= {token.content for token in self._added.values()}:
            raise CheckpointError(f"{self.file}: is missing or holds no tokens")

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Ids of all tokens."""
        return self._tokenizer.get_vocab()

    @property
    def begin_ids(self) -> tuple[int, ...]:
        """Id of the token that begins a text; none for a tokenizer that has no such token."""
        begin_id = self._id_of_named("bos_token")
        return () if begin_id is None else (begin_id,)

    @property
    def end_id(self) -> int | None:
        """Id of the token that ends a text."""
        return self._id_of_named("eos_token")

    @property
    def serialized(self) -> str:
        """The whole tokenizer as JSON."""
        text: str = self._tokenizer.to_str()
        return text

    @cached_property
    def longest_token(self) -> int:
        """Most characters that a token stands for."""
        return max(map(len, self.vocabulary))

    @cached_property
    def newline_ids(self) -> frozenset[int]:
        """Ids of the tokens whose text holds a newline; only these can complete a delimiter."""
        return frozenset(token for token, text in enumerate(self._texts) if "\n" in text)

    def ids_holding(self, text: str) -> tuple[int, ...]:
        """Ids of the tokens that hold a text with a newline at its end, in order: BPE finds the commonest first."""
        return self._ids_holding(text)

    @cached_property
    def _ids_holding(self) -> Callable[[str], tuple[int, ...]]:
        newlines = [(token, self._texts[token]) for token in sorted(self.newline_ids)]
        return lru_cache(NUM_KEPT)(lambda wanted: tuple(token for token, text in newlines if wanted in text))

    @cached_property
    def pieces(self) -> Mapping[int, Piece]:
        """What each token adds to a text that other tokens have begun; tokens that decoding leaves out are missing."""
        added = self._added
        names = {token_id: name for name, token_id in self.vocabulary.items()}
        return {
            token_id: self._piece(names[token_id], text)
            for token_id, text in enumerate(self._texts)
            if token_id in names and not (token_id in added and added[token_id].special)
        }

    @cached_property
    def has_byte_tokens(self) -> bool:
        """Whether there is a token such as <0x0A> for each byte, as SentencePiece has them.

        Tokens of one byte that follow each other are UTF-8 as a whole, or each of them is a replacement character.
        """
        newline = self.vocabulary.get("<0x0A>")
        return newline is not None and self.decode([newline]) == "\n"

    @cached_property
    def strips_first_space(self) -> bool:
        """Whether a text loses the space that its first token begins with."""
        spaced = [token_id for token_id in self.encode("a b") if self._texts[token_id].startswith(" ")]
        return any(not self.decode([token_id]).startswith(" ") for token_id in spaced)

    @cached_property
    def _texts(self) -> list[str]:
        """Text of each token behind another one: what it says at the beginning of a text can lack a space."""
        first = self.encode("a")[-1:]
        num_chars = len(self.decode(first))
        return [
            self._tokenizer.decode([*first, token], skip_special_tokens=False)[num_chars:]
            for token in range(max(self.vocabulary.values()) + 1)
        ]

    @property
    def _added(self) -> dict[int, AddedToken]:
        added: dict[int, AddedToken] = self._tokenizer.get_added_tokens_decoder()
        return added

    def _piece(self, name: str, text: str) -> Piece:
        if self.has_byte_tokens:
            match = BYTE_TOKEN.fullmatch(name)
            return bytes.fromhex(match[1]) if match else text
        if REPLACEMENT in text and BYTES_OF.keys() >= set(name):
            return bytes(BYTES_OF[character] for character in name)
        return text

    def prepare(self) -> None:
        """Read the whole vocabulary now: a large one takes seconds, in which nothing else should wait."""
        _ = self.pieces, self.ids_holding(DELIMITER), self.strips_first_space

    def _id_of_named(self, name: str) -> int | None:
        return self.vocabulary.get(self._pretrained.named_tokens.get(name, ""))

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of `token_ids`, special tokens left out."""
        text: str = self._tokenizer.decode(list(token_ids), skip_special_tokens=True)
        return text

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of plain text, in which no special token is seen."""
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def encode_with_places(self, text: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids of plain text, and for each the character of the text that it begins at."""
        found = self._tokenizer.encode(text, add_special_tokens=False)
        return tuple(found.ids), tuple(begin for begin, _ in found.offsets)

    def id_of(self, token: str) -> int:
        """Id of a text that must be one token.

        Raises:
            CheckpointError: It is not one.
        """
        token_ids = self.encode(token)
        if len(token_ids) != 1:
            raise CheckpointError(f"{self.file}: {token!r} is {len(token_ids)} tokens, not one")
        return token_ids[0]

    def id_of_token(self, token: str) -> int:
        """Id of a token by its name, which text may not be able to spell.

        Raises:
            CheckpointError: There is no such token.
        """
        if token not in self.vocabulary:
            raise CheckpointError(f"{self.file}: {token!r} is not in the vocabulary")
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
            raise CheckpointError(f"{self.file}: {num_tokens} tokens, but vocab_size in config.json is {vocab_size}")


class ChatTokenizer(TextTokenizer):
    """The tokenizer of a checkpoint, with its chat template.

    Args:
        directory: Of the checkpoint.
        special: Texts whose added tokens mean more than they spell, as special tokens do.

    Raises:
        CheckpointError: The tokenizer or its chat template is missing, or cannot be used piece by piece.
    """

    _asks = True
    """Whether a chat ends where the assistant speaks next."""

    def __init__(self, directory: Path, special: Iterable[str] = ()) -> None:
        super().__init__(directory)
        self._make_special("".join(special))
        if not self._pretrained.chat_template:
            raise CheckpointError(f"{directory}: {without_template()}")
        try:
            self._template = compile_template(self._pretrained.chat_template)
        except TemplateError as error:
            raise CheckpointError(f"{directory}: chat_template cannot be read ({error})") from error
        self._special_ids = {token.content: token_id for token_id, token in self._added.items() if token.special}
        longest_first = sorted(self._special_ids, key=len, reverse=True)
        self._special = re.compile(f"({'|'.join(map(re.escape, longest_first))})")
        self._require_pieces_to_join()

    def encode_chat(
        self, messages: Sequence[Message], variables: Mapping[str, Any] = NO_VARIABLES, beginning: str = ""
    ) -> tuple[int, ...]:
        """Ids of a chat up to where the assistant speaks next. Space around a content is dropped.

        Args:
            messages: At least one.
            variables: Arguments of the chat template, by name.
            beginning: What the assistant is made to begin with.

        Raises:
            CheckpointError: The chat template has no place for one of the roles.
        """
        marks = {MARK.format(index): content.strip() for index, (_, content) in enumerate(messages)}
        chat = self._render([(role, mark) for (role, _), mark in zip(messages, marks, strict=True)], variables)
        for mark, (role, _) in zip(marks, messages, strict=True):
            if mark not in chat:
                raise CheckpointError(f"{self.file.parent}: chat_template leaves out the {role} message")
        pattern = re.compile("|".join(marks))
        text = chat + beginning
        return self._join(text, lambda piece: self.encode(pattern.sub(lambda match: marks[match[0]], piece)))

    def encode_marked(self, text: str) -> tuple[int, ...]:
        """Ids of a text in which special tokens are what they spell."""
        return self._join(text, self.encode)

    def ending(self, messages: Sequence[Message], variables: Mapping[str, Any] = NO_VARIABLES) -> str:
        """What the chat template writes behind the last message.

        Raises:
            CheckpointError: The chat template refuses the messages.
        """
        marks = [MARK.format(index) for index in range(len(messages))]
        chat = self._render([(role, mark) for (role, _), mark in zip(messages, marks, strict=True)], variables)
        return chat.rpartition(marks[-1])[2]

    @cached_property
    def template_variables(self) -> frozenset[str]:
        """Arguments that the chat template reads."""
        return variables_of(self._pretrained.chat_template or "")

    def _join(self, text: str, encode: Callable[[str], tuple[int, ...]]) -> tuple[int, ...]:
        token_ids: list[int] = []
        for index, piece in enumerate(self._special.split(text)):
            is_special = index % 2 == 1  # split() returns what is between the special tokens, and these, in turn
            token_ids += (self._special_ids[piece],) if is_special else encode(piece)
        return tuple(token_ids)

    def spells_special_token(self, text: str) -> bool:
        """True for a text that a careless tokenizer would read as more than text."""
        return self._special.search(text) is not None

    def special_tokens_in(self, text: str) -> Iterator[str]:
        """Yield the special tokens that a text spells."""
        return (found[0] for found in self._special.finditer(text) if found[0])

    def _render(self, messages: Sequence[Message], variables: Mapping[str, Any] = NO_VARIABLES) -> str:
        chat = [{"role": role, "content": content} for role, content in messages]
        own = {**self._pretrained.named_tokens, "date_string": DATE, "add_generation_prompt": self._asks}
        if spelt := [name for name, value in variables.items() if self.spells_special_token(str(value))]:
            raise CheckpointError(f"{spelt[0]}: an argument of chat_template cannot spell a special token")
        try:
            return render(self._template, chat, **{**variables, **own})
        except (TemplateError, *SLIPS) as error:
            refused = ", ".join(variables) or repr(messages[0][0])
            raise CheckpointError(f"{self.file.parent}: chat_template refuses {refused}: {error}") from error

    def _make_special(self, text: str) -> None:
        """Have the added tokens that a text holds taken for special ones: no text spells them, and none shows them."""
        held = [token.content for token in self._added.values() if token.content in text]
        self._tokenizer.add_special_tokens([AddedToken(content, special=True) for content in held])

    def _require_pieces_to_join(self) -> None:
        """A tokenizer that puts something in front of every text (SentencePiece) cannot be used piece by piece."""
        chat = [("user", "What is 1 + 1?")]
        self._tokenizer.encode_special_tokens = False
        whole = self._tokenizer.encode(self._render(chat), add_special_tokens=False).ids
        self._tokenizer.encode_special_tokens = True
        if self.encode_chat(chat) != tuple(whole):
            raise CheckpointError(f"{self.file}: text between special tokens cannot be tokenised on its own")
