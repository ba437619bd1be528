// Vercel's AI SDK: its provider for OpenAI by every route, and the one for compatible servers.

import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";

import { check, models, PROBLEM, promptOf, search, url } from "./common.mjs";

const openai = createOpenAI({ baseURL: url, apiKey: "none" });
const compatible = createOpenAICompatible({ name: "winnow", baseURL: url, apiKey: "none", includeUsage: true });
const common = { temperature: 0, maxOutputTokens: 200, maxRetries: 0 };
const stateless = { providerOptions: { openai: { store: false } } };

async function ask(model, options = {}) {
  const system = "Answer the problem.";
  const first = await generateText({ ...common, ...options, model, system, prompt: PROBLEM });
  check(first.text);
  const user = { role: "user", content: [{ type: "text", text: PROBLEM }] };
  const messages = [user, ...first.response.messages, user];
  check((await generateText({ ...common, ...options, model, system, messages })).text);
  const streamed = streamText({ ...common, ...options, model, messages: [user], onError: () => {} });
  check(await streamed.text);
}

for (const name of models) {
  await ask(openai.chat(name));
  await ask(openai.responses(name), stateless);
  await ask(compatible(name));
  if (name !== search) {
    // its completions stop at "user:", which a search refuses
    check((await generateText({ ...common, model: openai.completion(name), prompt: promptOf(name) })).text);
  }
}
