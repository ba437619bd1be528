"""LangChain's classes of OpenAI's models: chats, completions and responses."""

import asyncio

from common import PROBLEM, Service, check
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI, OpenAI


async def main(service: Service) -> None:
    for model in service.models:
        common = {"model": model, "base_url": service.url, "api_key": "none", "temperature": 0, "max_retries": 0}
        turns = [
            SystemMessage("Answer the problem."),
            HumanMessage("Compute 1 + 1.", name="bob"),
            AIMessage(""),
            HumanMessage([{"type": "text", "text": PROBLEM}]),
        ]
        chat = ChatOpenAI(**common, max_tokens=200, reasoning_effort="low", stop=["<1>"] if "@" not in model else None)
        reply = chat.invoke(turns)
        check(reply.content)
        check("".join(chunk.content for chunk in chat.stream(turns, stream_usage=True)))
        check(chat.invoke([*turns, reply, HumanMessage(PROBLEM)]).content)
        check((await chat.ainvoke(PROBLEM)).content)
        check(chat.batch([PROBLEM, PROBLEM])[1].content)
        thinking = {"effort": "low", "summary": "auto"}
        newer = ChatOpenAI(**common, max_tokens=200, use_responses_api=True, reasoning=thinking)
        reply = newer.invoke(turns)
        check(reply.text)
        check("".join(chunk.text for chunk in newer.stream(turns)))
        check(newer.invoke([*turns, reply, HumanMessage(PROBLEM)]).text)
        prompt = PROBLEM if "@" in model else f"<|user|>{PROBLEM}<|assistant|>"
        check(OpenAI(**common, max_tokens=200).invoke(prompt))


asyncio.run(main(Service.of_command_line()))
