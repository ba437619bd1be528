/**
 * A search as code: what somebody pastes into a shell, a Python file or a script, and runs.
 *
 * The key of the tab is never written out: the code reads it from WINNOW_API_KEY. Characters that cannot be seen, or
 * that turn text around, are escaped, so that what is pasted is what is seen. A request may come from a file of anybody:
 * names of its fields are written out as names only where they are such.
 */

const UNSEEN = /[\p{Cf}\p{Zl}\p{Zp}\u007f-\u009f]/gu;
const SAMPLING = ["temperature", "top_p", "max_tokens", "seed"];
const FORM = ["response_format", "tools", "tool_choice", "parallel_tool_calls"];
const THOUGHTS = ["thinking_budget", "reasoning_effort", "chat_template_kwargs"];
const ARGUMENT = /^[a-z][a-z0-9_]*$/;
const OF_THE_STREAM = ["stream", "background"];

/** @typedef {{origin: string, model: string, hasKey: boolean}} Where The service: its address, its policy's name. */

/** In the order in which they are offered. */
export const LANGUAGES = [
  ["curl", curl],
  ["Python, openai", pythonOpenAI],
  ["Python, typed client", pythonClient],
  ["JavaScript", javascript],
];

/**
 * @param {object} request Body of `POST /solve`.
 * @param {Where} where
 */
export function curl(request, { origin, hasKey }) {
  const body = quoted(json(asked(request), 2));
  const key = hasKey ? ' \\\n  -H "Authorization: Bearer $WINNOW_API_KEY"' : "";
  return `curl -sS ${quoted(`${origin}/solve`)} \\\n  -H 'Content-Type: application/json'${key} \\\n  -d ${body}\n`;
}

/**
 * @param {object} request
 * @param {Where} where
 */
export function pythonOpenAI(request, { origin, model, hasKey }) {
  const { problem, system_prompt: instruction, ...fields } = asked(request);
  const system = typeof instruction === "string" ? [{ role: "system", content: instruction }] : [];
  const search = without(fields, [...SAMPLING, ...FORM, ...THOUGHTS]);
  const beyond = { search, ...only(fields, THOUGHTS) };
  const lines = [
    ...(hasKey ? ["import os", ""] : []),
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url=${python(`${origin}/v1`)}, api_key=${hasKey ? KEY : '"none"'})`,
    "completion = client.chat.completions.create(",
    `    model=${python(model)},`,
    `    messages=${python([...system, { role: "user", content: problem }], 4)},`,
    ...argumentsOf(only(fields, [...SAMPLING, ...FORM])),
    `    extra_body=${python(beyond, 4)},`,
    ")",
    'print(completion.search["answer"], completion.search["confidence"])',
    "print(completion.choices[0].message.content)",
  ];
  return `${lines.join("\n")}\n`;
}

/**
 * @param {object} request
 * @param {Where} where
 */
export function pythonClient(request, { origin, hasKey }) {
  const { problem, ...fields } = asked(request);
  const lines = [
    ...(hasKey ? ["import os", ""] : []),
    "from winnow_client import Winnow  # server/clients/winnow_client.py: one file, needs httpx and pydantic",
    "",
    `with Winnow(${python(origin)}${hasKey ? `, api_key=${KEY}` : ""}) as winnow:`,
    "    solved = winnow.solve(",
    `        ${python(problem)},`,
    ...argumentsOf(fields).map((line) => `    ${line}`),
    "    )",
    "print(solved.answer, solved.confidence)",
    "print(solved.response)",
  ];
  return `${lines.join("\n")}\n`;
}

/**
 * @param {object} request
 * @param {Where} where
 */
export function javascript(request, { origin, hasKey }) {
  const key = hasKey ? "\n    Authorization: `Bearer ${process.env.WINNOW_API_KEY}`," : "";
  return `const response = await fetch(${json(`${origin}/solve`)}, {
  method: "POST",
  headers: {
    "Content-Type": "application/json",${key}
  },
  body: JSON.stringify(${json(asked(request), 2).replaceAll("\n", "\n  ")}),
});
const solved = await response.json();
if (!response.ok) throw new Error(solved.error.message);
console.log(solved.answer, solved.confidence);
console.log(solved.response);
`;
}

const KEY = 'os.environ["WINNOW_API_KEY"]';

/** The fields that were given, without those of the stream. */
function asked(request) {
  const given = Object.entries(request).filter(([, value]) => value !== null && value !== undefined);
  return without(Object.fromEntries(given), OF_THE_STREAM);
}

function without(fields, names) {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
}

function only(fields, names) {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => names.includes(name)));
}

function json(value, indent = 0) {
  const escaped = (character) =>
    Array.from({ length: character.length }, (_, place) => hex(character.charCodeAt(place)));
  return JSON.stringify(value, null, indent).replace(UNSEEN, (character) => escaped(character).join(""));
}

function hex(code) {
  return `\\u${code.toString(16).padStart(4, "0")}`;
}

/** Quote a text for a POSIX shell. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function argumentsOf(fields) {
  const given = Object.entries(fields);
  const odd = given.filter(([name]) => !ARGUMENT.test(name));
  const named = given.filter(([name]) => ARGUMENT.test(name)).map(([name, value]) => `    ${name}=${python(value, 4)},`);
  return odd.length ? [...named, `    **${python(Object.fromEntries(odd), 4)},`] : named;
}

/** Write a value of JSON as Python does; objects and lists that are long a member a line. */
function python(value, indent = 0) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return JSON.stringify(value).replace(UNSEEN, pythonEscape);
  if (typeof value !== "object") return String(value);
  const isList = Array.isArray(value);
  const inner = indent + 4;
  const members = isList
    ? value.map((each) => python(each, inner))
    : Object.entries(value).map(([name, each]) => `${python(name)}: ${python(each, inner)}`);
  const [open, close] = isList ? "[]" : "{}";
  const line = `${open}${members.join(", ")}${close}`;
  if (line.length + indent <= 88 && !line.includes("\n")) return line;
  const margin = " ".repeat(inner);
  return `${open}\n${members.map((each) => `${margin}${each},\n`).join("")}${" ".repeat(indent)}${close}`;
}

function pythonEscape(character) {
  const code = character.codePointAt(0);
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : hex(code);
}
