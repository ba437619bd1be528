// OpenAI's own client for Node: chats, completions and responses, whole and streamed.

import OpenAI from "openai";

import { check, models, PROBLEM, promptOf, url } from "./common.mjs";

const client = new OpenAI({ baseURL: url, apiKey: "none", maxRetries: 0 });
const messages = [
  { role: "system", content: "Answer the problem." },
  { role: "user", content: "Compute 1 + 1.", name: "bob" },
  { role: "assistant", content: "" },
  { role: "user", content: [{ type: "text", text: PROBLEM }] },
];

for (const model of models) {
  const chat = { model, messages, temperature: 0, max_tokens: 200 };
  const reply = await client.chat.completions.create({ ...chat, store: false, parallel_tool_calls: true });
  check(reply.choices[0].message.content);
  const again = [...messages, reply.choices[0].message, { role: "user", content: PROBLEM }];
  check((await client.chat.completions.create({ ...chat, messages: again })).choices[0].message.content);
  let text = "";
  for await (const chunk of await client.chat.completions.create({ ...chat, stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? "";
  }
  check(text);
  check(await client.chat.completions.stream(chat).finalContent());
  const whole = { model, prompt: promptOf(model), temperature: 0, max_tokens: 200 };
  check((await client.completions.create(whole)).choices[0].text);

  const asked = { model, input: PROBLEM, temperature: 0, max_output_tokens: 200 };
  const response = await client.responses.create(asked);
  check(response.output_text);
  const input = [{ role: "user", content: PROBLEM }, ...response.output, { role: "user", content: PROBLEM }];
  check((await client.responses.create({ ...asked, input, store: false })).output_text);
  check((await client.responses.stream(asked).finalResponse()).output_text);
}
