"""Tokenizers unlike each other, made here: how a response is decoded depends on the kind."""

from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from models.checkpoints.tokenizer import ChatTokenizer
from tests.models.tiny import tiny_tokenizer

TEMPLATE = "{% for message in messages %}</s>{{ message.content }}{% endfor %}"
WORDS = ("▁a", "a", "b", "▁", "▁▁", "\n", "\n\n", "x\n\ny", "é", "́", "\ufffd", "😀", "<think>")


def save_sentencepiece(directory: Path, *, strips: bool = True) -> ChatTokenizer:
    """One that spells what it has no token for in bytes, as Llama 2's, or, where nothing is stripped, Gemma's."""
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *WORDS]
    model = models.BPE(
        {name: token_id for token_id, name in enumerate(names)}, [], unk_token="<unk>", byte_fallback=True
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(
        " ", "▁"
    )  # without one in front, so that texts can be tokenised in pieces
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if strips else steps)
    return _save(tokenizer, directory)


def save_metaspace(directory: Path) -> ChatTokenizer:
    """One of words without bytes, as XLNet's."""
    model = models.Unigram([(name, -1.0) for name in ("<unk>", "<s>", "</s>", *WORDS)], unk_id=0)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Metaspace()
    return _save(tokenizer, directory)


def save_byte_level(directory: Path) -> ChatTokenizer:
    """One whose tokens are pieces of bytes, some with a newline and half a character."""
    names = list(pre_tokenizers.ByteLevel.alphabet())
    names = ["<unk>", "<s>", "</s>", *sorted(names), "ĊĊ", "Ċð", "ðŁ", "ĺĢ", "aĊĊb", "Ġa", "ĊÃ", "©Ċ"]
    tokenizer = Tokenizer(models.BPE({name: token_id for token_id, name in enumerate(names)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _save(tokenizer, directory)


def _save(tokenizer: Tokenizer, directory: Path) -> ChatTokenizer:
    tokenizer.add_special_tokens([AddedToken("<s>", special=True), AddedToken("</s>", special=True)])
    tokenizer.add_tokens([AddedToken("<added>\n", special=False)])
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call] # transformers leaves it unannotated
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", chat_template=TEMPLATE
    ).save_pretrained(directory)
    return ChatTokenizer(directory)


def save_tiny(directory: Path) -> ChatTokenizer:
    """The tests' own, trained as Llama 3's was."""
    tiny_tokenizer().save_pretrained(directory)
    return ChatTokenizer(directory)


SAVES: dict[str, Callable[[Path], ChatTokenizer]] = {
    "byte-level": save_byte_level,
    "byte-level, trained": save_tiny,
    "SentencePiece": save_sentencepiece,
    "SentencePiece, nothing stripped": lambda directory: save_sentencepiece(directory, strips=False),
    "words": save_metaspace,
}


def ugly_texts(tokenizer: ChatTokenizer, num_tokens: int) -> dict[str, list[int]]:
    """Responses of so many tokens that are tedious to cut into steps."""
    encode = tokenizer.encode
    lines = sorted(tokenizer.newline_ids)
    pieces = [token_id for token_id, piece in tokenizer.pieces.items() if isinstance(piece, bytes)] or lines
    patterns = {
        "every token a newline": encode("\n"),
        "every token some newline": lines,
        "a line a token": [*encode("a"), *encode("\n")],
        "a step every other token": [*encode("a"), *encode("\n\n")],
        "an emoji and a newline": [*encode("😀"), *encode("\n")],
        "half an emoji and a newline": [*encode("😀")[:-2], *encode("\n")],
        "halves of characters alone": pieces,
        "combining characters": [*encode("e\u0301\u0301\u0301"), *encode("\n")],
        "no newline at all": encode("ab"),
    }
    return {name: list(islice(cycle(pattern), num_tokens)) for name, pattern in patterns.items() if pattern}
