"""The demo pair's tokenizer: a small byte-level BPE in which digits stand alone and a blank line is one token.

Knows the special tokens and the chat template. The blank line is the step delimiter, so a step always ends on a token
boundary, and the reward model is read at that token.
"""

from collections.abc import Iterable
from copy import deepcopy

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from models.interfaces import DELIMITER

VOCAB_SIZE = 640
CONTEXT = 1024
END = "<|endoftext|>"
SPECIAL_TOKENS = (END, "<|system|>", "<|user|>", "<|assistant|>")

PIECE = r"\n\n|\d| ?\p{L}+ ?| ?[^\s\p{L}\d]+ ?|\s"
"""What merges stay within: a blank line, one digit, a word or a run of signs with the spaces beside it."""

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{%- if message.role not in ('system', 'user', 'assistant') -%}
{{- raise_exception('unknown role: ' + message.role) -}}
{%- endif -%}
{{- '<|' + message.role + '|>' + message.content -}}
{%- if message.role == 'assistant' -%}{{- '<|endoftext|>' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"""
"""`<|user|>problem<|assistant|>response<|endoftext|>`, after `<|system|>instruction` where one is given."""

THINKING_MARKS = ("<think>", "</think>")
THINKING_CHAT_TEMPLATE = """\
{%- for message in messages -%}
{%- if message.role not in ('system', 'user', 'assistant') -%}
{{- raise_exception('unknown role: ' + message.role) -}}
{%- endif -%}
{%- if message.role == 'assistant' -%}
{{- '<|assistant|>' + message.content.split('</think>')[-1].lstrip('\\n') + '<|endoftext|>' -}}
{%- else -%}
{{- '<|' + message.role + '|>' + message.content -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>' -}}
{%- if enable_thinking is defined and enable_thinking is false -%}{{- '<think>\\n\\n</think>\\n\\n' -}}{%- endif -%}
{%- endif -%}"""
"""As Qwen3's: thoughts of earlier turns are left out; `enable_thinking=false` writes an empty block of thoughts."""


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Learn the merges from `texts`; the same texts give the same tokenizer.

    User text that spells a special token must be tokenised with `split_special_tokens=True`, apart from the template
    around it: the tokens next to it are special, so the pieces join without loss.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECE), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, DELIMITER * 2], trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END,
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def thinking_tokenizer(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """A copy of the pair's tokenizer for a policy that thinks: the marks of thoughts are a token each, and are text."""
    thinking = deepcopy(tokenizer)
    thinking.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in THINKING_MARKS])
    thinking.chat_template = THINKING_CHAT_TEMPLATE
    return thinking
