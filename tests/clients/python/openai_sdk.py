"""OpenAI's own client for Python: chats, completions and responses, whole, streamed, raw and asynchronous."""

import asyncio

from common import PROBLEM, Service, check
from openai import AsyncOpenAI, OpenAI

CHAT = [
    {"role": "developer", "content": "Answer the problem."},
    {"role": "user", "content": "Compute 1 + 1.", "name": "bob"},
    {"role": "assistant", "content": None},
    {"role": "user", "content": [{"type": "text", "text": PROBLEM}]},
]


def main(service: Service) -> None:
    client = OpenAI(base_url=service.url, api_key="none", max_retries=0)
    for model in service.models:
        common = {"model": model, "messages": CHAT, "temperature": 0, "max_completion_tokens": 200}
        reply = client.chat.completions.create(**common, store=False, metadata={"a": "b"}, reasoning_effort="medium")
        check(reply.choices[0].message.content)
        stop = [] if "@" in model else ["<1>", "<2>"]  # which a search refuses
        raw = client.chat.completions.with_raw_response.create(**common, stop=stop, user="someone")
        check(raw.parse().choices[0].message.content)
        options = {"include_usage": True, "include_obfuscation": False}
        chunks = list(client.chat.completions.create(**common, stream=True, stream_options=options))
        check("".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices))
        assert chunks[-1].usage.total_tokens > 0
        with client.chat.completions.stream(**common) as events:
            check(events.get_final_completion().choices[0].message.content)
        turns = [*CHAT, reply.choices[0].message, {"role": "user", "content": PROBLEM}]
        check(client.chat.completions.create(**common | {"messages": turns}).choices[0].message.content)

        prompt = PROBLEM if "@" in model else f"<|user|>{PROBLEM}<|assistant|>"
        text = client.completions.create(model=model, prompt=prompt, temperature=0, max_tokens=200, best_of=1)
        check(text.choices[0].text)
        texts = client.completions.create(model=model, prompt=prompt, temperature=0, max_tokens=200, stream=True)
        check("".join(chunk.choices[0].text for chunk in texts))

        asked = {"model": model, "input": PROBLEM, "temperature": 0, "max_output_tokens": 200}
        first = client.responses.create(**asked, instructions="Answer the problem.", store=False)
        check(first.output_text)
        with client.responses.stream(**asked) as events:
            check(events.get_final_response().output_text)
        items = [{"role": "user", "content": PROBLEM}, *first.output, {"role": "user", "content": PROBLEM}]
        check(client.responses.create(**asked | {"input": items}).output_text)
        asyncio.run(ask_at_once(service, common, asked))


async def ask_at_once(service: Service, common: dict, asked: dict) -> None:
    async with AsyncOpenAI(base_url=service.url, api_key="none", max_retries=0) as client:
        reply, response = await asyncio.gather(
            client.chat.completions.create(**common), client.responses.create(**asked, stream=True)
        )
        check(reply.choices[0].message.content)
        events = [event async for event in response]
        check(events[-1].response.output_text)


main(Service.of_command_line())
