"""LiteLLM: chats, completions and responses of an OpenAI-compatible provider."""

import asyncio

import litellm
from common import PROBLEM, Service, check


def main(service: Service) -> None:
    for model in service.models:
        common = {"model": f"openai/{model}", "api_base": service.url, "api_key": "none", "temperature": 0}
        turns = [
            {"role": "system", "content": "Answer the problem.", "cache_control": None},
            {"role": "user", "content": [{"type": "text", "text": PROBLEM, "cache_control": {"type": "ephemeral"}}]},
        ]
        effort = {"reasoning_effort": "low", "allowed_openai_params": ["reasoning_effort"]}
        reply = litellm.completion(**common, messages=turns, max_tokens=200, user="someone", **effort)
        check(reply.choices[0].message.content)
        chunks = litellm.completion(
            **common, messages=turns, max_tokens=200, stream=True, stream_options={"include_usage": True}
        )
        check("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))
        again = [*turns, reply.choices[0].message, {"role": "user", "content": PROBLEM}]
        check(asyncio.run(litellm.acompletion(**common, messages=again, max_tokens=200)).choices[0].message.content)
        prompt = PROBLEM if "@" in model else f"<|user|>{PROBLEM}<|assistant|>"
        older = common | {"model": f"text-completion-openai/{model}"}
        text = litellm.text_completion(**older, prompt=prompt, max_tokens=200)
        check(text.choices[0].text)
        response = litellm.responses(**common, input=PROBLEM, max_output_tokens=200)
        check(response.output[0].content[0].text)
        events = list(litellm.responses(**common, input=PROBLEM, max_output_tokens=200, stream=True))
        check(events[-1].response.output[0].content[0].text)


main(Service.of_command_line())
