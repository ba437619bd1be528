/** The problems of an evaluation one by one, and the trees of those whose searches are open. */

import { count } from "../numbers.js";
import { Answer, html } from "../parts.js";
import { useMemo, useState } from "../vendor/preact.js";
import { hashOf } from "../route.js";
import { Pages, Table } from "../table.js";
import { short } from "../text.js";
import { PointChoice, pointsOf } from "./tables.js";

const PAGE = 20;
const FILTERS = [
  ["all problems", () => true],
  ["the first right, the second wrong", ({ one, other }) => one > other],
  ["the first wrong, the second right", ({ one, other }) => one < other],
  ["neither always right", ({ one, other }) => one < 100 && other < 100],
];

/** @param {{lines: object[], searches: object[], shelf: object}} props */
export function Problems({ lines, searches, shelf }) {
  const points = pointsOf(lines);
  const [left, setLeft] = useState(points.length - 1);
  const [right, setRight] = useState(0);
  const [filter, setFilter] = useState(0);
  const [wanted, setWanted] = useState("");
  const [page, setPage] = useState(0);
  const byProblem = useMemo(() => Map.groupBy(searches, ({ problem }) => problem), [searches]);
  const [one, other] = [points[left] ?? points[0], points[right] ?? points[0]];
  const rows = useMemo(() => rowsOf(one, other), [one.name, other.name, lines]);
  const found = rows.filter(
    (row) => FILTERS[filter][1](row) && row.problem.toLowerCase().includes(wanted.toLowerCase()),
  );
  const change = (set) => (value) => (set(value), setPage(0));
  const shown = found
    .slice(page * PAGE, (page + 1) * PAGE)
    .map((row) => [
      short(row.problem, 160),
      row.level ?? "",
      html`<${Outcomes} outcomes=${row.ours} ...${{ byProblem, shelf }} />`,
      html`<${Outcomes} outcomes=${row.theirs} ...${{ byProblem, shelf }} />`,
    ]);
  const controls = html`
    <div class="row">
      <${PointChoice} label="First" ...${{ points, value: left, onChange: change(setLeft) }} />
      <${PointChoice} label="Second" ...${{ points, value: right, onChange: change(setRight) }} />
      <label class="field">
        <span class="label">Show</span>
        <select value=${filter} onChange=${({ target }) => change(setFilter)(Number(target.value))}>
          ${FILTERS.map(([name], place) => html`<option key=${name} value=${place}>${name}</option>`)}
        </select>
      </label>
      <label class="field">
        <span class="label">Find a problem</span>
        <input type="search" value=${wanted} onInput=${({ target }) => change(setWanted)(target.value)} />
      </label>
    </div>
  `;
  const aside = html`<${Found} ...${{ found, rows }} />`;
  const head = ["Problem", "Level", one.name, other.name];
  return html`
    <${Table} title="Problem by problem" ...${{ aside, controls, head, rows: shown, isText: true }}>
      <${Pages} ...${{ page, setPage, count: found.length, size: PAGE }} />
      ${
        searches.length === 0 &&
        html`<p class="small">Open the file of winnow eval --searches as well, to see the trees.</p>`
      }
    <//>
  `;
}

function Found({ found, rows }) {
  return html`<p role="status" class="small">${count(found.length)} of ${count(rows.length)} problems</p>`;
}

/** A row a problem that one of the two was given; the shares of right answers are in %. */
function rowsOf(one, other) {
  const rows = new Map();
  for (const [side, { report, point }] of Object.entries({ ours: one, theirs: other })) {
    for (const outcome of report.outcomesOf(point)) {
      const row = rows.get(outcome.problem) ?? { problem: outcome.problem, level: outcome.level, ours: [], theirs: [] };
      row[side].push(outcome);
      rows.set(outcome.problem, row);
    }
  }
  const share = (outcomes) => (100 * outcomes.filter((each) => each.is_correct).length) / outcomes.length;
  return [...rows.values()].map((row) => ({ ...row, one: share(row.ours), other: share(row.theirs) }));
}

function Outcomes({ outcomes, byProblem, shelf }) {
  const open = (search) => {
    shelf.set({ opened: search });
    location.hash = hashOf("replay");
  };
  return html`
    <ul class="plain">
      ${outcomes.map((outcome) => {
        const search = searchOf(outcome, byProblem);
        const verdict = outcome.is_correct ? "right" : "wrong";
        return html`
          <li key=${outcome.seed}>
            <span class=${verdict}>${verdict}</span>${" "}<${Answer} text=${outcome.answer} />${" "}
            ${
              search &&
              html`<button type="button" class="link" onClick=${() => open(search)}>
              tree<span class="hidden"> of ${short(outcome.problem, 40)}, seed ${outcome.seed}</span>
            </button>`
            }
          </li>
        `;
      })}
    </ul>
  `;
}

/** The search of an outcome; those that were subsampled from a larger one have none. */
export function searchOf(outcome, byProblem) {
  const wanted = Object.entries({ strategy: outcome.strategy, n: outcome.n, seed: outcome.seed, ...outcome.varied });
  const isGreedy = outcome.strategy === "greedy";
  return (byProblem.get(outcome.problem) ?? []).find(({ request }) =>
    isGreedy ? request.n === 1 && request.temperature === 0 : wanted.every(([name, value]) => request[name] === value),
  );
}
