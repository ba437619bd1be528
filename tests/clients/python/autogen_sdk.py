"""AutoGen: agents that call each other by name, and its client of OpenAI's models."""

import asyncio

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.models import AssistantMessage, SystemMessage, UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from common import PROBLEM, Service, check

INFO = {
    "vision": False,
    "function_calling": False,
    "json_output": False,
    "family": "unknown",
    "structured_output": False,
}


async def main(service: Service) -> None:
    for model in service.models:
        client = OpenAIChatCompletionClient(
            model=model, base_url=service.url, api_key="none", temperature=0, max_tokens=200, model_info=INFO
        )
        turns = [
            SystemMessage(content="Answer the problem."),
            UserMessage(content="Compute 1 + 1.", source="bob"),
            AssistantMessage(content="2", source="solver"),
            UserMessage(content=PROBLEM, source="bob"),
        ]
        check((await client.create(turns)).content)
        events = [event async for event in client.create_stream(turns)]
        check(events[-1].content)
        agent = AssistantAgent("solver", model_client=client, system_message="Answer the problem.")
        check((await agent.run(task=PROBLEM)).messages[-1].content)
        team = RoundRobinGroupChat(
            [agent, AssistantAgent("checker", model_client=client)], termination_condition=MaxMessageTermination(3)
        )
        result = await team.run(task=PROBLEM)
        check(result.messages[1].content)
        await client.close()


asyncio.run(main(Service.of_command_line()))
