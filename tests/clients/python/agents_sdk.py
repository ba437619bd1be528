"""OpenAI's Agents SDK, through chats and through responses."""

import asyncio

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, set_tracing_disabled
from common import PROBLEM, Service, check
from openai import AsyncOpenAI


async def main(service: Service) -> None:
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=service.url, api_key="none", max_retries=0)
    settings = ModelSettings(temperature=0, max_tokens=200)
    for name in service.models:
        for kind in (OpenAIChatCompletionsModel, OpenAIResponsesModel):
            model = kind(model=name, openai_client=client)
            agent = Agent(name="solver", instructions="Answer the problem.", model=model, model_settings=settings)
            result = await Runner.run(agent, PROBLEM)
            check(result.final_output)
            more = [*result.to_input_list(), {"role": "user", "content": PROBLEM}]
            check((await Runner.run(agent, more)).final_output)
            streamed = Runner.run_streamed(agent, PROBLEM)
            async for _ in streamed.stream_events():
                pass
            check(streamed.final_output)


asyncio.run(main(Service.of_command_line()))
