/** The view Solve: a problem, the search for its answer as it grows, and what came of it. */

import { Options, blank, filled, requestOf } from "../form.js";
import { Inspect } from "../inspect.js";
import { count, many, percent, seconds } from "../numbers.js";
import { Answer, Facts, Notice, Prose, Said, Score, html, useKept, useNow, useSearch } from "../parts.js";
import { hashOf, replaceHash } from "../route.js";
import { Share } from "../share.js";
import { chosenOf, tokensSoFar } from "../story.js";
import { unseen } from "../text.js";
import { Tree } from "../tree.js";
import { useEffect, useRef, useState } from "../vendor/preact.js";
import { Votes } from "../votes.js";
import { confidenceInWords, decisionInWords, nameOf, progressOf, whyItWon } from "../words.js";

const ESTIMATE_AFTER_MS = 400;
const LOOKED_AT = 10_000; // characters of a problem, at every key

/** @param {{service: object, search: import("../search.js").Search, about: object, route: object}} props */
export function Solve({ service, search, about, route }) {
  const state = useSearch(search);
  const [kept, setForm] = useKept("winnow-form", null);
  const form = { ...blank(about), ...kept };
  const [selected, setSelected] = useState(null);
  const { story, phase } = state;
  const asked = route.query.toString();
  const { unread } = filled(about, route.query);
  const isRunning = phase === "running" || phase === "refused";
  useEffect(() => {
    if (asked) setForm(filled(about, route.query).form);
    if (route.rest && state.id !== route.rest) search.attach(route.rest);
  }, [route.rest, asked]);
  useEffect(() => {
    if (state.id && isRunning) replaceHash(hashOf("solve", state.id));
  }, [state.id, isRunning]);
  const nodes = story?.nodes;
  useEffect(() => setSelected(null), [nodes]);
  const run = () => {
    replaceHash(hashOf("solve"));
    search.start({ ...requestOf(about, form), include: ["candidates", "tree"] });
  };
  const refused = phase === "failed" ? (state.error?.param ?? null) : null;
  return html`
    <h1 class="hidden">Solve</h1>
    <div class="solving">
      <section class="ask" aria-label="Question">
        ${unread.length > 0 &&
        html`<${Notice} kind="warning">The link also gives ${unread.join(", ")}, which this form does not have.<//>`}
        <${Ask}
          service=${service}
          about=${about}
          form=${form}
          onChange=${setForm}
          isRunning=${isRunning}
          refused=${refused}
          onRun=${run}
          onStop=${search.stop}
        />
        ${story && html`<${Bill} state=${state} />`}
      </section>
      <section class="shown" aria-label="Search">
        ${story ? html`<${Outcome} state=${state} onShow=${setSelected} />` : html`<${Welcome} />`}
        ${story &&
        html`<div class=${selected ? "growth inspected" : "growth"}>
          <${Tree} story=${story} selected=${selected} onSelect=${setSelected} />
          ${selected && html`<${Inspect} story=${story} selected=${selected} onSelect=${setSelected} />`}
        </div>`}
        ${story?.result &&
        html`<${Share} request=${state.request} reply=${story.result} events=${state.events} about=${about} />`}
      </section>
    </div>
  `;
}

function Ask({ service, about, form, onChange, isRunning, refused, onRun, onStop }) {
  const isAsked = form.problem.trim() !== "";
  const hidden = unseen(form.problem.slice(0, LOOKED_AT));
  const submit = (event) => {
    event.preventDefault();
    if (isAsked && !isRunning) onRun();
  };
  const stop = (event) => {
    event.currentTarget.form.querySelector(".primary").focus(); // this button goes
    onStop();
  };
  const onKeyDown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
  };
  return html`<form onSubmit=${submit} class="problem" novalidate>
    <label class="field">
      <span class="label">Problem</span>
      <textarea
        name="problem"
        rows="4"
        dir="auto"
        maxlength=${about.limits.problem}
        value=${form.problem}
        aria-invalid=${refused === "problem"}
        onInput=${(event) => onChange({ ...form, problem: event.target.value })}
        onKeyDown=${onKeyDown}
      ></textarea>
    </label>
    ${hidden.length > 0 && html`<p class="small">The problem holds characters that cannot be seen: ${hidden.join(", ")}.</p>`}
    ${about.examples.length > 0 &&
    html`<p class="examples">
      <span class="small">Examples</span>
      ${about.examples.map(
        ({ label, problem }) =>
          html`<button type="button" class="link" onClick=${() => onChange({ ...form, problem })}>${label}</button>`,
      )}
    </p>`}
    <${Options} about=${about} form=${form} onChange=${onChange} refused=${refused} />
    <div class="go">
      <${Estimate} service=${service} request=${isAsked && !isRunning ? requestOf(about, form) : null} />
      <span class="buttons">
        ${isRunning && html`<button type="button" onClick=${stop}>Stop</button>`}
        <button class="primary" aria-disabled=${!isAsked || isRunning} title="Ctrl+Enter">Solve</button>
      </span>
    </div>
  </form>`;
}

/** What a request will probably cost; nothing where the service does not say. */
function Estimate({ service, request }) {
  const [estimate, setEstimate] = useState(null);
  const wanted = request && JSON.stringify(request);
  useEffect(() => {
    setEstimate(null);
    if (!wanted) return undefined;
    const controller = new AbortController();
    const ask = () => service.estimate(JSON.parse(wanted), controller.signal).then(setEstimate, () => {});
    const timer = setTimeout(ask, ESTIMATE_AFTER_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [wanted]);
  if (!estimate?.completion_tokens) return html`<span class="estimate small" title=${estimate?.basis}></span>`;
  const { completion_tokens: tokens, seconds: time, accuracy } = estimate;
  const between = (range, say) => `${say(range.low)} to ${say(range.high)}`;
  return html`<span class="estimate small" title=${estimate.basis}>
    about ${count(tokens.expected)} tokens (${between(tokens, count)})
    ${time && html`<br />about ${seconds(time.expected)} (${between(time, seconds)})`}
    ${accuracy && html`<br />right in about ${percent(accuracy.expected)} of such problems`}
  </span>`;
}

function Welcome() {
  return html`<div class="welcome">
    <h2>Watch a search think</h2>
    <p>
      A policy proposes many solutions, step by step; a verifier judges each step; a strategy decides which of them go on.
      Every step appears here as soon as it is written: its colour is its score, and the width of a line the tokens that it
      took.
    </p>
    <p>Choose a problem and a strategy, and press Solve. Click a step, or walk the tree with the arrow keys, to look closer.</p>
  </div>`;
}

/** The answer, and why it won; while the search runs, how it stands. */
export function Outcome({ state, onShow }) {
  const { story, phase, error, retryAt } = state;
  const now = useNow(phase === "refused");
  const reply = story.result;
  const show = () => {
    const id = chosenOf(story);
    if (id !== null) onShow({ node: id, place: Math.max(0, story.nodes.get(id).steps.length - 1) });
  };
  return html`<div class="outcome">
    <div class="verdict panel">
      <p class="status small" role="status">${progressOf(state)}</p>
      ${phase === "refused" &&
      html`<${Notice}>${error.message} Asking again in ${Math.max(0, Math.ceil((retryAt - now) / 1000))} s.<//>`}
      ${phase === "failed" && html`<${Notice}>${error.message}<//>`}
      ${reply
        ? html`<${Verdict} story=${story} reply=${reply} onShow=${show} />`
        : html`<${Progress} story=${story} isRunning=${phase === "running"} />`}
    </div>
    <div class="race panel">
      ${story.votes?.votes.length
        ? html`<${Votes} story=${story} />`
        : html`<h2>Votes</h2><p class="small">No candidate has voted yet.</p>`}
    </div>
  </div>`;
}

function Progress({ story, isRunning }) {
  const leader = story.votes?.votes.find((vote) => vote.answer !== null);
  return html`
    ${leader && html`<p class="answer-line"><span class="small">Leading</span> <${Answer} text=${leader.answer} /></p>`}
    ${isRunning &&
    html`<div
      class=${story.share === null ? "progress unknown" : "progress"}
      role="progressbar"
      aria-label="Share of the work done"
      aria-valuenow=${story.share === null ? undefined : Math.round(story.share * 100)}
      aria-valuemin="0"
      aria-valuemax="100"
    >
      <span style=${{ transform: `scaleX(${story.share ?? 1})` }}></span>
    </div>`}
    <${Decision} story=${story} />
  `;
}

function Decision({ story }) {
  const decision = decisionInWords(story);
  return decision && html`<${Said} tag="p" class="decision small said" text=${decision} />`;
}

function Verdict({ story, reply, onShow }) {
  const isStrange = reply.diagnostics?.familiar === false;
  const remarks = [...(reply.diagnostics?.warnings ?? []), reply.status_reason].filter(Boolean);
  const first = isStrange ? remarks.shift() : null; // that the problem is unfamiliar
  return html`
    <p class="answer-line"><${Answer} text=${reply.answer} /></p>
    <p class="trust">
      ${reply.confidence !== null && html`<strong>${percent(reply.confidence)}</strong> `}
      <span class="small">${confidenceInWords(reply)}</span>
    </p>
    ${first && html`<${Notice} kind="caution"><${Said} text=${first} /><//>`}
    <ul class="why">
      ${whyItWon(story).map((sentence) => html`<${Said} tag="li" text=${sentence} />`)}
    </ul>
    <${Decision} story=${story} />
    ${remarks.length > 0 &&
    html`<details class="remarks">
      <summary>${many(remarks.length, "remark")}</summary>
      ${remarks.map((remark) => html`<${Said} tag="p" class="small said" text=${remark} />`)}
    </details>`}
    ${reply.response !== null &&
    html`<details class="response">
      <summary>The response it comes from <${Score} value=${reply.score} /></summary>
      <${Prose} text=${reply.response} />
      <button class="link" onClick=${onShow}>Show it in the tree</button>
    </details>`}
  `;
}

/** What the search has cost so far. */
export function Bill({ state }) {
  const { story, phase, startedAt } = state;
  const isRunning = phase === "running";
  const now = useNow(isRunning);
  const { usage, strategy } = story;
  const elapsed = story.result?.timing.total_s ?? (isRunning && startedAt ? (now - startedAt) / 1000 : story.elapsed_s);
  return html`<section class="bill panel" aria-label="Bill">
    <h2>Bill</h2>
    <${Facts}
      facts=${[
        ["Strategy", strategy && `${nameOf(strategy.name)}, N = ${strategy.n}`],
        ["Time", seconds(elapsed)],
        ["Waited", story.result && story.result.timing.queue_s >= 0.05 ? seconds(story.result.timing.queue_s) : null],
        ["Generated", `${count(tokensSoFar(story))} tokens`],
        ["Of them thoughts", usage?.reasoning_tokens ? `${count(usage.reasoning_tokens)} tokens` : null],
        ["Judged", usage && `${count(usage.verifier_tokens)} tokens`],
        ["Read from the cache", usage && `${count(usage.verifier_cached_tokens)} tokens`],
        ["Begun in vain", usage?.speculative_tokens ? `${count(usage.speculative_tokens)} tokens` : null],
        ["Problem", usage && `${count(usage.prompt_tokens)} tokens`],
        ["Candidates", usage && count(usage.candidates)],
        ["Rounds", usage ? count(usage.rounds) : count(story.round)],
        ["Programs tested", usage?.test_runs ? count(usage.test_runs) : null],
      ]}
    />
  </section>`;
}
