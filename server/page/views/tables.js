/** The tables of an evaluation: the numbers are those of `winnow eval`, and are written as it writes them. */

import { count } from "../numbers.js";
import { html } from "../parts.js";
import { pairedDifference } from "../report.js";
import { fixed, written } from "../statistics.js";
import { Table } from "../table.js";
import { useState } from "../vendor/preact.js";

export function AccuracyTable({ lines, budgets, level, caption }) {
  const rows = lines.map(({ name, report, configuration }) => {
    const accuracyAt = (n) => valueAt(report, configuration, n, (point) => report.accuracy(point, level));
    return [name, ...budgets.map((n) => written(accuracyAt(n)))];
  });
  return html`<${Table} title="Accuracy" ...${{ caption, rows, head: headOf("N", budgets) }} />`;
}

/** Accuracy by level at one budget, with a bar in each cell; the best strategy of each level in words. */
export function LevelTable({ lines, budgets, levels }) {
  const [chosen, setBudget] = useState(null);
  const n = budgets.includes(chosen) ? chosen : budgets.at(-1);
  const measured = lines.filter(({ report, configuration }) => report.at(configuration, n));
  const rows = measured.map(({ name, report, configuration, colour }) => {
    const point = report.at(configuration, n);
    return [
      name,
      ...levels.map((level) => html`<${Bar} interval=${report.accuracy(point, level)} colour=${colour} />`),
    ];
  });
  for (const report of new Set(measured.map((line) => line.report))) {
    rows.push(["best with hindsight", ...levels.map((level) => report.bestAt(n, level)?.strategy ?? "")]);
  }
  const choice = html`
    <label class="field inline">
      <span class="label">N</span>
      <select value=${n} onChange=${({ target }) => setBudget(Number(target.value))}>
        ${budgets.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}
      </select>
    </label>
  `;
  const head = ["", ...levels.map((level) => `level ${level}`)];
  const caption = `Right answers, %, at N = ${n}`;
  return html`<${Table} title="By level" ...${{ aside: choice, caption, head, rows }} />`;
}

function Bar({ interval, colour }) {
  if (!interval) return null;
  return html`
    <svg
      class="series bar"
      viewBox="0 0 100 6"
      preserveAspectRatio="none"
      aria-hidden="true"
      style=${{ "--series": colour }}
    >
      <rect class="rest" width="100" height="6" />
      <rect class="filled" width=${interval.mean} height="6" />
    </svg>
    ${written(interval)}
  `;
}

export function PassTable({ reports }) {
  const measured = reports.filter(({ report }) => report.passAt(1));
  const caption = "At least one of k responses is right, %: no vote over them can do better";
  return measured.map(({ fileName, report }) => {
    const rowOf = (level) => report.budgets.map((k) => written(report.passAt(k, level)));
    const rows = [
      ["all problems", ...rowOf(null)],
      ...report.levels.map((level) => [`level ${level}`, ...rowOf(level)]),
    ];
    const title = reports.length === 1 ? "pass@k" : `pass@k, ${fileName}`;
    return html`<${Table} key=${fileName} ...${{ title, caption, rows, head: headOf("k", report.budgets) }} />`;
  });
}

export function CostTable({ lines }) {
  const rows = pointsOf(lines).map(({ report, point, name }) => {
    const cost = report.cost(point);
    return [
      name,
      report.numSeeds(point),
      ...[cost.numProblems, cost.generated, cost.judged, cost.cached].map(whole),
      cost.seconds === null ? "" : fixed(cost.seconds, 2),
      whole(report.tokensPerCorrect(point)),
    ];
  });
  const head = ["", "Seeds", "Problems", "Generated", "Judged", "Cached", "Latency, s", "Per right answer"];
  return html`<${Table} title="Cost" caption="Tokens and seconds, means per problem" ...${{ head, rows }} />`;
}

function whole(value) {
  return value === null ? "" : count(Number(fixed(value, 0)));
}

export function ConfidenceTable({ lines, budgets }) {
  const rows = lines.map(({ name, report, configuration }) => {
    const errorAt = (n) => valueAt(report, configuration, n, (point) => report.calibrationError(point));
    return [name, ...budgets.map(errorAt).map((error) => (error === null ? "" : fixed(error, 3)))];
  });
  const told = rows.filter(([, ...errors]) => errors.some(Boolean));
  if (!told.length) return null;
  const caption = "Expected calibration error: how far the confidence told is from what came true";
  return html`<${Table} title="Confidence" ...${{ caption, rows: told, head: headOf("N", budgets) }} />`;
}

/** Two points, of one file or of two, paired problem by problem. */
export function DifferenceTable({ lines }) {
  const points = pointsOf(lines);
  const [left, setLeft] = useState(points.length - 1);
  const [right, setRight] = useState(0);
  if (points.length < 2) return null;
  const [one, other] = [points[left] ?? points[0], points[right] ?? points[0]];
  const difference = pairedDifference(one.report.shares(one.point), other.report.shares(other.point));
  const share = one.report === other.report ? one.report.generatedShare(one.point, other.point) : null;
  return html`
    <section class="panel" aria-labelledby="difference">
      <h2 id="difference">Difference</h2>
      <div class="row">
        <${PointChoice} label="This" ...${{ points, value: left, onChange: setLeft }} />
        <${PointChoice} label="less that" ...${{ points, value: right, onChange: setRight }} />
      </div>
      <p role="status">
        ${
          difference
            ? html`<strong>${written(difference, "+")}</strong> points of accuracy, paired by problem.`
            : "No problem was given to both."
        }
        ${share && html` It generates ${timesInWords(share)} the tokens.`}
      </p>
    </section>
  `;
}

function timesInWords({ mean, low, high }) {
  return `${fixed(mean, 2)} (${fixed(low, 2)} to ${fixed(high, 2)}) times`;
}

/** The points of all lines, by name. */
export function pointsOf(lines) {
  return lines.flatMap(({ name, report, configuration }) =>
    report.points
      .filter((point) => point.configuration === configuration.key)
      .map((point) => {
        const { strategy } = configuration;
        return { report, point, name: `${strategy}@${point.n}${name.slice(strategy.length)}` };
      }),
  );
}

export function PointChoice({ label, points, value, onChange }) {
  return html`
    <label class="field">
      <span class="label">${label}</span>
      <select value=${value} onChange=${({ target }) => onChange(Number(target.value))}>
        ${points.map(({ name }, place) => html`<option key=${name} value=${place}>${name}</option>`)}
      </select>
    </label>
  `;
}

function headOf(letter, budgets) {
  return ["", ...budgets.map((n) => `${letter} = ${n}`)];
}

function valueAt(report, configuration, n, value) {
  const point = report.at(configuration, n);
  return point ? value(point) : null;
}
