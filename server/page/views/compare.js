/** The view Compare: one problem, searched in two to four ways side by side. */

import { spentTokens } from "../budgets.js";
import { MOST_WAYS, wayInWords } from "../comparison.js";
import { count, percent, score, seconds } from "../numbers.js";
import { Answer, Field, Icon, Notice, html, useKept, useSearch } from "../parts.js";
import { hashOf } from "../route.js";
import { finished } from "../saved.js";
import { save } from "../share.js";
import { Table } from "../table.js";
import { Tree } from "../tree.js";
import { useState } from "../vendor/preact.js";
import { nameOf } from "../words.js";

const EQUAL = [
  ["n", "The same N", "Every search may have as many candidates."],
  [
    "tokens",
    "The same tokens",
    "The first search bounds the others: by what it should spend, or by what it has spent.",
  ],
  ["own", "Each its own N", "For budgets of one strategy, or whatever you like."],
];
const START = {
  equal: "n",
  ways: [
    { strategy: "majority", n: 16 },
    { strategy: "beam_search", n: 16 },
  ],
  seed: 0,
  width: 4,
};

/** @param {{about: object, route: object, comparison: object, shelf: object}} props */
export function Compare({ about, route, comparison, shelf }) {
  const { phase, columns, words, error } = useSearch(comparison);
  const isRunning = phase === "fitting" || phase === "running";
  return html`
    <h1>Compare</h1>
    <p class="lead">The same problem, searched in two to four ways at once.</p>
    <${Form}
      ...${{ about, route, isRunning }}
      onStart=${(wish) => comparison.start(wish, about)}
      onStop=${comparison.stop}
    />
    ${error && html`<${Notice}>${error.message}<//>`}
    <p role="status">${phase === "fitting" ? "Looking for budgets that cost the same." : words}</p>
    ${
      columns.length > 0 &&
      html`
      <div class="columns">
        ${columns.map((column, place) => html`<${Column} key=${place} ...${column} shelf=${shelf} />`)}
      </div>
      <${Differences} columns=${columns} />
    `
    }
  `;
}

function Form({ about, route, isRunning, onStart, onStop }) {
  const linked = route.query.get("problem");
  const [form, setForm] = useKept("winnow-compare", { ...START, problem: about.examples?.[0]?.problem ?? "" });
  const { problem, equal, ways, seed, width } = linked && !form.isEdited ? { ...form, problem: linked } : form;
  const change = (part) => setForm({ ...form, problem, ...part, isEdited: true });
  const changeWay = (place, part) =>
    change({ ways: ways.map((way, index) => (index === place ? { ...way, ...part } : way)) });
  const able = about.strategies.filter(({ lacks }) => !lacks);
  const remove = (place) => change({ ways: ways.filter((_, index) => index !== place) });
  const add = () => change({ ways: [...ways, { n: ways[0].n, strategy: nextStrategy(able, ways) }] });
  const submit = (event) => {
    event.preventDefault();
    const wanted = equal === "n" ? ways.map((way) => ({ ...way, n: ways[0].n })) : ways;
    onStart({ problem, equal, width, ways: wanted, fields: seed === "" ? {} : { seed: Number(seed) } }, about);
  };
  return html`
    <form class="panel" onSubmit=${submit}>
      <${Field} label="Problem">
        <textarea
          name="problem"
          rows="2"
          dir="auto"
          required
          value=${problem}
          onInput=${({ target }) => change({ problem: target.value })}
        ></textarea>
      <//>
      <fieldset class="choices">
        <legend>What is equal</legend>
        ${EQUAL.map(
          ([name, label]) => html`
            <label key=${name}>
              <input type="radio" name="equal" checked=${equal === name} onChange=${() => change({ equal: name })} />
              ${label}
            </label>
          `,
        )}
        <span class="small">${EQUAL.find(([name]) => name === equal)[2]}</span>
      </fieldset>
      <div class="ways">
        ${ways.map(
          (way, place) => html`
            <${WayFields}
              key=${place}
              ...${{ way, place, able, most: about.limits?.n ?? 1024 }}
              n=${equal === "own" || place === 0 ? null : equal === "n" ? `as the first: ${ways[0].n}` : "by tokens"}
              onChange=${(part) => changeWay(place, part)}
              onRemove=${ways.length > 2 ? () => remove(place) : null}
            />
          `,
        )}
        ${ways.length < MOST_WAYS && html`<button type="button" class="add" onClick=${add}>Add a search</button>`}
      </div>
      <div class="row between">
        <div class="row">
          <${Field} label="M, beam width" hint="Children of each survivor of a tree search; divides N.">
            <input
              type="number"
              min="1"
              required
              value=${width}
              onInput=${({ target }) => change({ width: Number(target.value) })}
            />
          <//>
          <${Field} label="Seed" hint="The same seed draws the same first candidates; empty draws freely.">
            <input type="number" min="0" value=${seed} onInput=${({ target }) => change({ seed: target.value })} />
          <//>
        </div>
        <div class="buttons">
          ${isRunning && html`<button type="button" onClick=${onStop}>Stop</button>`}
          <button class="primary" disabled=${isRunning}>Compare</button>
        </div>
      </div>
    </form>
  `;
}

/** One of the searches: its strategy, and N or what N follows from. */
function WayFields({ way, place, able, most, n, onChange, onRemove }) {
  return html`
    <fieldset class="way">
      <legend>${place === 0 ? "First search" : `Search ${place + 1}`}</legend>
      <${Field} label="Strategy">
        <select value=${way.strategy} onChange=${({ target }) => onChange({ strategy: target.value })}>
          ${able.map(({ name }) => html`<option key=${name} value=${name}>${nameOf(name)}</option>`)}
        </select>
      <//>
      ${
        n === null
          ? html`<${Field} label="N">
            <input
              type="number"
              min="1"
              max=${most}
              required
              value=${way.n}
              onInput=${({ target }) => onChange({ n: Number(target.value) })}
            />
          <//>`
          : html`<p class="field">
            <span class="label">N</span>
            <span class="given">${n}</span>
          </p>`
      }
      ${
        onRemove &&
        html`<button type="button" class="quiet" title="Remove this search" onClick=${onRemove}>
        <${Icon} name="close" /><span class="hidden">Remove search ${place + 1}</span>
      </button>`
      }
    </fieldset>
  `;
}

function nextStrategy(able, ways) {
  const taken = new Set(ways.map(({ strategy }) => strategy));
  return able.find(({ name }) => !taken.has(name))?.name ?? ways[0].strategy;
}

function Column({ way, search, shelf }) {
  const { phase, story, request, error, events } = useSearch(search);
  const reply = story?.result;
  const [selected, onSelect] = useState(null);
  const label = `Tree of ${wayInWords(way)}`;
  const open = () => {
    shelf.set({ opened: finished(request, reply, events, wayInWords(way)) });
    location.hash = hashOf("replay");
  };
  return html`
    <section class="column panel" aria-label=${wayInWords(way)}>
      <h2>${wayInWords(way)}</h2>
      <p class="small" role="status">${progressInWords(phase, story, error)}</p>
      ${story && html`<${Tree} ...${{ story, selected, onSelect, label, isSmall: true }} />`}
      ${
        reply &&
        html`
        <p class="verdict-line"><${Answer} text=${reply.answer} /></p>
        <p class="small">
          ${reply.confidence === null ? "no confidence known" : `${percent(reply.confidence)} confidence`} \u00b7
          ${" "}${count(spentTokens(reply.usage))} tokens
        </p>
        <div class="buttons">
          <button type="button" onClick=${open}>Look closer</button>
          <button type="button" onClick=${() => save([{ request, reply, events }])}>Save</button>
        </div>
      `
      }
    </section>
  `;
}

function progressInWords(phase, story, error) {
  if (error) return error.message;
  if (phase === "stopped") return "Stopped.";
  if (phase === "done") return `Done in ${seconds(story.result?.timing?.total_s)}.`;
  if (phase === "refused") return "The queue is full; it is asked for again.";
  if (story?.queue?.place) return `Place ${story.queue.place} in the queue.`;
  return `Searching${story?.share ? `, ${percent(story.share)} done` : ""}.`;
}

/** What differs, a row a measure. */
function Differences({ columns }) {
  const states = columns.map(({ search }) => useSearch(search)); // as many hooks as columns, which a comparison fixes
  const replies = states.map(({ story }) => story?.result ?? null);
  const known = replies.filter(Boolean);
  if (known.length < 2) return null;
  const rows = differences(replies).map(({ name, values, best }) => [
    name,
    ...values.map((value, place) => (best.has(place) ? html`<strong>${value}</strong>` : value)),
  ]);
  rows.unshift(["Answer", ...replies.map((reply) => reply && html`<${Answer} text=${reply.answer} />`)]);
  const head = ["", ...columns.map(({ way }) => wayInWords(way))];
  return html`
    <${Table} title="The differences" caption=${agreementInWords(known)} ...${{ head, rows }}>
      <p class="small">Bold: the most certain, or the cheapest. Seconds are those beside each other.</p>
    <//>
  `;
}

function agreementInWords(replies) {
  const answers = new Set(replies.map(({ answer }) => answer));
  return answers.size === 1
    ? `All ${replies.length} give the same answer.`
    : `${replies.length} searches, ${answers.size} answers.`;
}

const MEASURES = [
  ["Confidence", (reply) => reply.confidence, percent, Math.max],
  ["Score", (reply) => reply.score, score, null],
  ["Agreement", (reply) => reply.diagnostics?.agreement, percent, Math.max],
  ["Distinct answers", (reply) => reply.diagnostics?.distinct_answers, count, null],
  ["Candidates", (reply) => reply.usage.candidates, count, null],
  ["Rounds", (reply) => reply.usage.rounds, count, null],
  ["Tokens generated", (reply) => reply.usage.completion_tokens, count, null],
  ["Tokens judged", (reply) => reply.usage.verifier_tokens, count, null],
  ["Judged from the cache", (reply) => reply.usage.verifier_cached_tokens, count, null],
  ["Generated and judged", (reply) => spentTokens(reply.usage), count, Math.min],
  ["Seconds", (reply) => reply.timing.search_s, seconds, Math.min],
];

/**
 * @param {(object|null)[]} replies The first is what the others are compared with.
 * @returns {{name: string, values: string[], best: Set<number>}[]} A row a measure.
 */
export function differences(replies) {
  const [first] = replies;
  return MEASURES.map(([name, measure, shown, best]) => {
    const found = replies.map((reply) => (reply ? (measure(reply) ?? null) : null));
    const known = found.filter((value) => value !== null);
    const top = best && new Set(known).size > 1 ? best(...known) : null;
    const values = found.map((value, place) => {
      const share =
        name === "Generated and judged" && place > 0 && first && value
          ? ` (\u00d7 ${(value / measure(first)).toFixed(2)})`
          : "";
      return `${shown(value)}${share}`;
    });
    return {
      name,
      values,
      best: new Set(found.flatMap((value, place) => (value !== null && value === top ? [place] : []))),
    };
  });
}
