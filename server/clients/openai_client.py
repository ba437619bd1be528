"""OpenAI's own client on winnow: a plain chat, the same as a stream, and chats that a search answers.

    python openai_client.py http://127.0.0.1:8000

It needs the package openai. For a service with keys, set WINNOW_API_KEY.
"""

import os
import sys

from openai import OpenAI
from openai.types.chat import ChatCompletionUserMessageParam

PROBLEM = "Compute 8 + 6 * 4 - 12."


def main(url: str) -> None:
    """Ask a service in all ways."""
    client = OpenAI(base_url=f"{url.rstrip('/').removesuffix('/v1')}/v1", api_key=os.getenv("WINNOW_API_KEY", "none"))
    policy = client.models.list().data[0].id
    chat = [ChatCompletionUserMessageParam(role="user", content=PROBLEM)]

    plain = client.chat.completions.create(model=policy, messages=chat, max_tokens=200)
    print("plain:", plain.choices[0].message.content)

    print("streamed:", end=" ")
    for chunk in client.chat.completions.create(model=policy, messages=chat, max_tokens=200, stream=True):
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    print()

    options = {"n": 16, "strategy": "majority"}
    searched = client.chat.completions.create(model=policy, messages=chat, extra_body={"search": options})
    print("searched:", searched.choices[0].message.content)
    print("votes:", [(vote["answer"], vote["count"]) for vote in searched.search["votes"]])  # type: ignore[attr-defined]

    named = client.chat.completions.create(model=f"{policy}@majority-16", messages=chat)
    print("searched by name:", named.choices[0].message.content)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
