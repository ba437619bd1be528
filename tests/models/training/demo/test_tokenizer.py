"""The demo pair's tokenizer."""

import pytest
from transformers import PreTrainedTokenizerFast

from models.training.demo.tokenizer import SPECIAL_TOKENS, train_tokenizer

TEXTS = ["## Step 1: Add\n17 + 28 = 45, so 45 * 3\n\n", "How many pens does Ana have now?"] * 20


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(TEXTS)


@pytest.mark.parametrize("text", ["\n\n", "a\n\nb", "so 5\n\n## Step 2", "\n\n\n", "$.\n\n"])
def test_a_blank_line_is_one_token(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    (delimiter,) = tokenizer.encode("\n\n")
    assert tokenizer.encode(text).count(delimiter) == 1


@pytest.mark.parametrize("text", ["17 + 28 = 45", "\\boxed{90}$.", " \t naïve 日本語 🎉\n\n\n\n", "a  b", "x" * 300])
def test_any_text_survives_the_round_trip(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_every_digit_is_a_token(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(tokenizer.encode("1234567890")) == 10


def test_the_same_texts_give_the_same_tokenizer(tokenizer: PreTrainedTokenizerFast) -> None:
    assert train_tokenizer(TEXTS).get_vocab() == tokenizer.get_vocab()


def test_a_system_prompt_is_rendered(tokenizer: PreTrainedTokenizerFast) -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert text == "<|system|>Be brief.<|user|>Hi<|assistant|>"


def test_user_text_can_be_kept_from_spelling_special_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    special = {tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    text = "".join(SPECIAL_TOKENS)
    assert special == set(tokenizer.encode(text))
    assert special.isdisjoint(tokenizer.encode(text, split_special_tokens=True))
