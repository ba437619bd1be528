/**
 * The form of a search: a problem, a strategy and its fields, and the request that they make.
 *
 * Fields come from `/page/about`: those that the strategy reads, with the limits of this service.
 */

import { nameOf } from "./words.js";
import { Field, html } from "./parts.js";

const WORDS = {
  n: "Budget N",
  beam_width: "Width M",
  max_steps: "Steps at most",
  lookahead: "Lookahead, k",
  aggregation: "Score of a response",
  selection: "Choice of the answer",
  keep: "Share that votes",
  temperature: "Temperature",
  max_tokens: "Tokens of a response",
  deadline_s: "Deadline, seconds",
  target_confidence: "Enough confidence",
  max_total_tokens: "Tokens in all",
  balance_temperature: "Balance, T_b",
};

const COMMON = [
  { name: "seed", kind: "int", low: 0, description: "The same seed draws the same candidates." },
  { name: "temperature", kind: "float", low: 0, high: 2, description: "0 draws the most probable response." },
  { name: "max_tokens", kind: "int", low: 1, description: "Longest response, in tokens." },
  { name: "deadline_s", kind: "float", low: 0, description: "Seconds after which the best so far is returned." },
];
/** Of the strategy's fields, those that are shown at once. */
const FIRST = ["beam_width"];

/**
 * @param {object} about Of the service.
 * @returns {object} What a form holds at first.
 */
export function blank(about) {
  const able = about.strategies.filter((strategy) => !strategy.lacks);
  return {
    problem: about.examples[0]?.problem ?? "",
    strategy: (able.find((strategy) => strategy.name === "beam_search") ?? able[0])?.name ?? "majority",
    verify: false,
    values: { n: String(about.defaults.n) },
  };
}

/**
 * The form that a link fills: with what it gives, and nothing that was there before.
 *
 * @param {object} about
 * @param {URLSearchParams} query Fields of a request by name.
 * @returns {{form: object, unread: string[]}} unread: what the form has no field for.
 */
export function filled(about, query) {
  const form = blank(about);
  const unread = [];
  if (about.strategies.some(({ name }) => name === query.get("strategy"))) form.strategy = query.get("strategy");
  const known = new Set(["n", ...[...COMMON, ...fieldsOf(about, form.strategy)].map(({ name }) => name)]);
  for (const [name, value] of query) {
    if (name === "problem") form.problem = value;
    else if (name === "verify") form.verify = value === "sympy";
    else if (known.has(name)) form.values[name] = value;
    else if (value !== form[name]) unread.push(name);
  }
  return { form, unread };
}

/**
 * @param {object} about
 * @param {object} form
 * @returns {object} The request of `POST /solve`: what was filled in and the strategy reads.
 */
export function requestOf(about, form) {
  const request = { problem: form.problem.trim(), strategy: form.strategy };
  const fields = [{ name: "n", kind: "int" }, ...COMMON, ...fieldsOf(about, form.strategy)];
  for (const field of fields) {
    const text = (form.values[field.name] ?? "").trim();
    if (text === "") continue;
    request[field.name] = field.kind === "choice" ? text : Number(text);
  }
  if (form.verify) request.verify = "sympy";
  return request;
}

function fieldsOf(about, name) {
  return about.strategies.find((strategy) => strategy.name === name)?.fields ?? [];
}

/**
 * @param {{about: object, form: object, onChange: (form: object) => void, refused?: string|null}} props
 *   refused: name of a field that the service did not accept.
 */
export function Options({ about, form, onChange, refused = null }) {
  const change = (part) => onChange({ ...form, ...part });
  const set = (name) => (value) => change({ values: { ...form.values, [name]: value } });
  const fields = fieldsOf(about, form.strategy);
  const input = (field) =>
    html`<${Input}
      key=${field.name}
      field=${{ ...field, high: field.high ?? about.limits[field.name] ?? null }}
      value=${form.values[field.name] ?? ""}
      initial=${field.default ?? about.defaults[field.name] ?? null}
      isRefused=${refused === field.name}
      onInput=${set(field.name)}
    />`;
  const n = { name: "n", kind: "int", low: 1, description: "The budget: candidate responses." };
  const [first, rest] = [fields.filter((each) => FIRST.includes(each.name)), fields.filter((each) => !FIRST.includes(each.name))];
  return html`<div class="options">
    <div class="row">
      <${Field} label="Strategy">
        <select name="strategy" value=${form.strategy} onChange=${(event) => change({ strategy: event.target.value })}>
          ${about.strategies.map(
            ({ name, lacks }) =>
              html`<option value=${name} disabled=${Boolean(lacks)} title=${lacks ?? ""} selected=${name === form.strategy}>
                ${nameOf(name)}
              </option>`,
          )}
        </select>
      <//>
      ${input(n)} ${first.map(input)}
    </div>
    <details class="more">
      <summary>More options</summary>
      <div class="grid">${rest.map(input)} ${COMMON.map(input)}</div>
      <label class="check">
        <input type="checkbox" name="verify" checked=${form.verify} onChange=${(event) => change({ verify: event.target.checked })} />
        Check answers of equations by substitution
      </label>
    </details>
  </div>`;
}

function Input({ field, value, initial, isRefused, onInput }) {
  const label = WORDS[field.name] ?? field.name.replaceAll("_", " ");
  const take = (event) => onInput(event.target.value);
  if (field.kind === "choice") {
    return html`<${Field} label=${label} hint=${field.description}>
      <select name=${field.name} onChange=${take} aria-invalid=${isRefused}>
        <option value="" selected=${value === ""}>${initial ?? "the strategy's"}</option>
        ${field.choices
          .filter((choice) => choice !== initial)
          .map((choice) => html`<option value=${choice} selected=${choice === value}>${choice}</option>`)}
      </select>
    <//>`;
  }
  return html`<${Field} label=${label} hint=${field.description}>
    <input
      type="number"
      name=${field.name}
      value=${value}
      placeholder=${initial ?? "none"}
      min=${field.low ?? undefined}
      max=${field.high ?? undefined}
      step=${field.kind === "int" ? 1 : "any"}
      aria-invalid=${isRefused}
      onInput=${take}
    />
  <//>`;
}
