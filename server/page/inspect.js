/** One step of a story, looked at closely: its text, its score, its place, and the candidate that it belongs to. */

import { colourOf, shadeOf } from "./colours.js";
import { count, score } from "./numbers.js";
import { Answer, Facts, Icon, Prose, Score, html } from "./parts.js";
import { chosenOf, pathTo, stepsOf } from "./story.js";
import { rankOf, stateInWords, whyItEnded } from "./words.js";

const CURVE = { width: 280, height: 72, margin: 7 };

/**
 * @param {object} props
 * @param {import("./story.js").Story} props.story
 * @param {import("./tree.js").Selected} props.selected
 * @param {(selected: import("./tree.js").Selected|null) => void} props.onSelect
 */
export function Inspect({ story, selected, onSelect }) {
  const node = story.nodes.get(selected.node);
  if (!node) return null;
  const place = Math.min(selected.place, Math.max(0, node.steps.length - 1));
  const step = node.steps[place] ?? null;
  const path = pathTo(story, node.id);
  const before = stepsOf(story, node.id).indexOf(step) + 1;
  const isLast = place >= node.steps.length - 1;
  const why = isLast ? whyItEnded(story, node) : null;
  const isChosen = pathTo(story, chosenOf(story)).includes(node);
  const close = (event) => {
    event.currentTarget.closest(".growth")?.querySelector("[tabindex='0']")?.focus();
    onSelect(null);
  };
  return html`<aside class="panel inspect" aria-label="Step" onKeyDown=${(event) => event.key === "Escape" && close(event)}>
    <header>
      <h2>${step ? `Step ${before}` : "No step yet"} <span class="small">of candidate ${node.id}</span></h2>
      <button class="quiet" title="Close (Escape)" onClick=${close}>
        <${Icon} name="close" /><span class="hidden">Close</span>
      </button>
    </header>
    ${isChosen && html`<p class="tag">On the way to the chosen response</p>`}
    ${step && html`<${StepText} step=${step} />`}
    ${why && html`<p class="why">${why}</p>`}
    <${Facts}
      facts=${[
        ["Score of this step", step && html`<${Score} value=${step.score} />`],
        ["Score of the candidate", html`<${Score} value=${node.score} />`],
        ["Rank among siblings", rankOf(story, node)],
        ["Tokens of this step", step?.tokens != null ? count(step.tokens) : null],
        [node.steps.length > 1 ? "Tokens since its parent" : "Tokens", step?.tokens != null ? null : count(node.tokens)],
        ["Read from the verifier's cache", step?.cached != null ? `${count(step.cached)} tokens` : null],
        ["State", stateInWords(node.state)],
        ["Answer", node.answer !== null ? html`<${Answer} text=${node.answer} />` : null],
        ["Checked", node.verified === null ? null : node.verified ? "passed" : "refuted"],
      ]}
    />
    <${Curve} story=${story} node=${node} place=${place} onSelect=${onSelect} />
    <${Whole} story=${story} node=${node} path=${path} />
  </aside>`;
}

/** The text of a step; thoughts are folded. */
function StepText({ step }) {
  if (!step.thinking) return html`<div class="text"><${Prose} text=${step.text} /></div>`;
  return html`<details class="text">
    <summary>Thoughts</summary>
    <${Prose} text=${step.text} />
  </details>`;
}

/** The scores of a candidate's steps, from the first to the last. */
function Curve({ story, node, place, onSelect }) {
  const points = pathTo(story, node.id).flatMap((each) =>
    each.steps.map((step, index) => ({ node: each.id, place: index, score: step.score, index: step.index })),
  );
  const judged = points.filter((point) => point.score !== null);
  if (judged.length < 2) return null;
  const { width, height, margin } = CURVE;
  const x = (point) => margin + (points.indexOf(point) / (points.length - 1)) * (width - 2 * margin);
  const y = (point) => height - margin - point.score * (height - 2 * margin);
  const line = judged.map((point, at) => `${at ? "L" : "M"}${x(point).toFixed(1)} ${y(point).toFixed(1)}`).join("");
  const isHere = (point) => point.node === node.id && point.place === place;
  const words = `Scores of the ${judged.length} judged steps: ${judged.map((point) => score(point.score)).join(", ")}`;
  return html`<figure class="curve">
    <figcaption class="label">Score, step by step</figcaption>
    <svg viewBox=${`0 0 ${width} ${height}`} role="img" aria-label=${words}>
      ${[0, 0.5, 1].map(
        (value) => html`<path class="grid" d=${`M0 ${y({ score: value })}H${width}`} />`,
      )}
      <path class="line" d=${line} />
      ${judged.map(
        (point) => html`<circle
          class=${isHere(point) ? "here" : ""}
          cx=${x(point)}
          cy=${y(point)}
          r=${isHere(point) ? 5 : 3.5}
          fill=${colourOf(shadeOf(point.score))}
          onClick=${() => onSelect({ node: point.node, place: point.place })}
        />`,
      )}
    </svg>
  </figure>`;
}

/** The candidate as a whole, up to its end here. */
function Whole({ story, node, path }) {
  const steps = path.flatMap((each) => each.steps);
  if (steps.length < 2) return null;
  const thoughts = steps.filter((step) => step.thinking);
  const others = steps.filter((step) => !step.thinking);
  const isOver = node.state !== "growing" && node.state !== "expanded";
  return html`<details class="whole">
    <summary>${isOver ? "The whole response" : "The response so far"}</summary>
    ${thoughts.length > 0 &&
    html`<details>
      <summary>Thoughts, ${count(thoughts.length)} steps</summary>
      ${thoughts.map((step) => html`<${Prose} text=${step.text} />`)}
    </details>`}
    ${others.map(
      (step) => html`<div class="judged"><${Score} value=${step.score} /><${Prose} text=${step.text} /></div>`,
    )}
  </details>`;
}
