"""LlamaIndex: chats and completions of an OpenAI-like server, and responses."""

import asyncio

from common import PROBLEM, Service, check
from llama_index.core.llms import ChatMessage, TextBlock
from llama_index.llms.openai import OpenAIResponses
from llama_index.llms.openai_like import OpenAILike


def main(service: Service) -> None:
    for model in service.models:
        common = {"model": model, "api_base": service.url, "api_key": "none", "temperature": 0, "max_retries": 0}
        turns = [
            ChatMessage(role="system", content="Answer the problem."),
            ChatMessage(role="user", content="Compute 1 + 1."),
            ChatMessage(role="assistant", content=""),
            ChatMessage(role="user", blocks=[TextBlock(text=PROBLEM)]),
        ]
        chat = OpenAILike(**common, max_tokens=200, is_chat_model=True)
        reply = chat.chat(turns)
        check(reply.message.content)
        check(list(chat.stream_chat(turns))[-1].message.content)
        check(chat.complete(PROBLEM).text)
        check(asyncio.run(chat.achat([*turns, reply.message, turns[-1]])).message.content)
        prompt = PROBLEM if "@" in model else f"<|user|>{PROBLEM}<|assistant|>"
        check(OpenAILike(**common, max_tokens=200, is_chat_model=False).complete(prompt).text)
        newer = OpenAIResponses(**common, max_output_tokens=200, context_window=1024, store=False)
        check(newer.chat(turns).message.content)
        check(list(newer.stream_chat(turns))[-1].message.content)


main(Service.of_command_line())
