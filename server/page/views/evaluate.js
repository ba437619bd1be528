/** The view Evaluate: files of outcomes, with the numbers that `winnow eval` prints for them, and charts of these. */

import { LineChart } from "../charts.js";
import { readLines, textOf } from "../lines.js";
import { isHead, readOutcomes } from "../outcomes.js";
import { html, useSearch } from "../parts.js";
import { useMemo, useState } from "../vendor/preact.js";
import { Report } from "../report.js";
import { readSaved, MAX_SEARCHES } from "../saved.js";
import { Faults, Opener } from "./opener.js";
import { Problems } from "./problems.js";
import { AccuracyTable, ConfidenceTable, CostTable, DifferenceTable, LevelTable, PassTable } from "./tables.js";

const MAX_EVALUATIONS = 8;
const OTHER = "#7a7a7a";

/** @param {{about: object, shelf: object}} props */
export function Evaluate({ about, shelf }) {
  const { evaluations, searches, evaluationFaults } = useSearch(shelf);
  const open = async (files) => shelf.set(await read(files, evaluations, searches));
  const close = (evaluation) => shelf.set({ evaluations: evaluations.filter((each) => each !== evaluation) });
  const measured = useMemo(() => measure(evaluations, about.strategies), [evaluations]);
  return html`
    <h1>Evaluate</h1>
    <${Opener} what="what winnow eval wrote with --out, and with --searches to see the trees" onFiles=${open} />
    <${Faults} faults=${evaluationFaults} />
    ${evaluations.length > 0 && html`<${Files} evaluations=${evaluations} onClose=${close} />`}
    ${
      evaluations.length === 0
        ? html`<${Empty} />`
        : html`<${Measured} key=${evaluations.length} ...${{ measured, searches, shelf }} />`
    }
  `;
}

async function read(files, evaluations, searches) {
  const [measured, trees, faults] = [[...evaluations], [...searches], []];
  for (const file of files) {
    try {
      const text = await textOf(file);
      const [, first] = readLines(text).next().value ?? [1, new Error("empty")];
      if (!(first instanceof Error) && !isHead(first)) {
        const found = readSaved(text, file.name, MAX_SEARCHES - trees.length);
        trees.push(...found.searches);
        faults.push(...found.faults);
        continue;
      }
      if (measured.length === MAX_EVALUATIONS)
        throw new Error(`${file.name}: ${MAX_EVALUATIONS} files are open; close one first`);
      const evaluation = readOutcomes(text, file.name);
      if (!evaluation.outcomes.length) throw new Error(`${file.name} holds no outcomes yet`);
      measured.push({ ...evaluation, fileName: file.name });
    } catch (error) {
      faults.push(error.message);
    }
  }
  return { evaluations: measured, searches: trees, evaluationFaults: faults };
}

function Empty() {
  return html`
    <div class="empty">
      <p>Nothing is open. Outcomes are made by</p>
      <pre class="code" tabindex="0">winnow eval --n 1,4,16 --out outcomes.jsonl --searches searches.jsonl</pre>
      <p>A file that is still being written can be opened, too.</p>
    </div>
  `;
}

function Files({ evaluations, onClose }) {
  return html`
    <ul class="chips" aria-label="Open files">
      ${evaluations.map(
        (each) => html`
          <li key=${each.fileName}>
            <strong>${each.fileName}</strong> ${each.name}, ${each.outcomes.length.toLocaleString("en")} outcomes
            <button type="button" class="quiet" onClick=${() => onClose(each)}>
              Close<span class="hidden"> ${each.fileName}</span>
            </button>
          </li>
        `,
      )}
    </ul>
  `;
}

/**
 * @typedef {object} Line A configuration of a file.
 * @property {string} name
 * @property {Report} report
 * @property {object} configuration
 * @property {string} colour
 * @property {number} dashes
 */

/** @returns {{reports: object[], lines: Line[], budgets: number[], levels: number[]}} */
export function measure(evaluations, strategies) {
  const colours = new Map(strategies.map(({ name, colour }) => [name, colour]));
  const reports = evaluations.map((each) => ({ ...each, report: new Report(each.outcomes, strategies) }));
  const isOne = reports.length === 1;
  const lines = reports.flatMap(({ fileName, report }, file) => {
    const seen = new Map();
    return report.configurations.map((configuration) => {
      const place = seen.get(configuration.strategy) ?? 0;
      seen.set(configuration.strategy, place + 1);
      return {
        name: isOne ? configuration.name : `${configuration.name} \u00b7 ${fileName}`,
        report,
        configuration,
        colour: colours.get(configuration.strategy) ?? OTHER,
        dashes: file + place,
      };
    });
  });
  const all = (name) => [...new Set(reports.flatMap(({ report }) => report[name]))].sort((a, b) => a - b);
  return { reports, lines, budgets: all("budgets"), levels: all("levels") };
}

function Measured({ measured, searches, shelf }) {
  const { reports, lines, budgets, levels } = measured;
  const [level, setLevel] = useState(null);
  const known = lines.filter(({ report }) => level === null || report.levels.includes(level));
  const name = level === null ? "all problems" : `level ${level}`;
  return html`
    ${
      levels.length > 0 &&
      html`
      <label class="field inline">
        <span class="label">Problems</span>
        <select onChange=${({ target }) => setLevel(target.value === "" ? null : Number(target.value))}>
          <option value="">all levels</option>
          ${levels.map((each) => html`<option key=${each} value=${each}>level ${each}</option>`)}
        </select>
      </label>
    `
    }
    <div class="charts">
      <section class="panel">
        <h2>Accuracy against N</h2>
        <${LineChart}
          title=${`Accuracy against N, ${name}`}
          series=${known.map((line) => scalingSeries(line, budgets, level))}
          x=${{ label: "N, budget", isLog: true, ticks: budgets }}
          y=${{ label: "right answers, %", format: (value) => String(Math.round(value * 10) / 10) }}
          hasTable=${false}
        />
      </section>
      <section class="panel">
        <h2>Accuracy against tokens</h2>
        <${LineChart}
          title=${`Accuracy against tokens, ${name}`}
          series=${known.map((line) => costSeries(line, level)).filter(({ points }) => points.length)}
          x=${{ label: "tokens a problem, generated and judged", isLog: true, format: short }}
          y=${{ label: "right answers, %", format: (value) => String(Math.round(value * 10) / 10) }}
          hasTable=${false}
        />
      </section>
    </div>
    <div class="charts tables">
    <${AccuracyTable} lines=${known} budgets=${budgets} level=${level} caption=${`Right answers, %, ${name}`} />
    ${levels.length > 0 && html`<${LevelTable} lines=${lines} budgets=${budgets} levels=${levels} />`}
    <${PassTable} reports=${reports} />
    <${ConfidenceTable} lines=${lines} budgets=${budgets} />
    <${CostTable} lines=${lines} />
    <${DifferenceTable} lines=${lines} />
    </div>
    <${Problems} ...${{ lines, searches, shelf }} />
    <p class="small">
      Intervals hold the mean with 95 %: a bootstrap over problems, of each one's mean over seeds, as winnow eval does.
    </p>
  `;
}

function short(value) {
  return value >= 1024 ? `${Math.round(value / 102.4) / 10}k` : String(Math.round(value));
}

function scalingSeries({ name, report, configuration, colour, dashes }, budgets, level) {
  const points = budgets.flatMap((n) => {
    const point = report.at(configuration, n);
    const accuracy = point && report.accuracy(point, level);
    return accuracy ? [{ x: n, y: accuracy.mean, low: accuracy.low, high: accuracy.high }] : [];
  });
  return { name, colour, dashes, points };
}

function costSeries({ name, report, configuration, colour, dashes }, level) {
  const points = report.points
    .filter((point) => point.configuration === configuration.key)
    .flatMap((point) => {
      const [{ tokens, generated }, accuracy] = [report.cost(point), report.accuracy(point, level)];
      const x = tokens ?? generated;
      return accuracy && x > 0 // or it has no place on a logarithmic axis
        ? [{ x, y: accuracy.mean, low: accuracy.low, high: accuracy.high, note: `N = ${point.n}` }]
        : [];
    });
  return { name, colour, dashes, points };
}
