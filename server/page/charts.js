/**
 * Charts of lines in SVG: axes, intervals, a legend that hides lines, and the same numbers as a table.
 *
 * Lines differ in colour, dashes and marks, so that no one of them carries the meaning alone.
 */

import { html } from "./parts.js";
import { useEffect, useRef, useState } from "./vendor/preact.js";

const MARGIN = { top: 12, right: 16, bottom: 42, left: 52 };
const FIRST_WIDTH = 560;
const DASHES = ["", "7 4", "2 3", "9 3 2 3"];
const MARKS = [
  "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0",
  "M-3.2-3.2h6.4v6.4h-6.4z",
  "M0-4.4L4.2 3.2H-4.2z",
  "M0-4.6L4.6 0L0 4.6L-4.6 0z",
  "M0 4.4L4.2-3.2H-4.2z",
  "M-4-1.2h2.8v-2.8h2.4v2.8h2.8v2.4h-2.8v2.8h-2.4v-2.8h-2.8z",
];

/**
 * @typedef {object} Point
 * @property {number} x
 * @property {number} y
 * @property {number} [low] Of its interval.
 * @property {number} [high]
 *
 * @typedef {object} Series
 * @property {string} name
 * @property {string} colour
 * @property {number} [dashes] Which of the four.
 * @property {Point[]} points By x.
 *
 * @typedef {object} Axis
 * @property {string} label
 * @property {boolean} [isLog]
 * @property {number[]} [ticks]
 * @property {[number, number]} [domain]
 * @property {(value: number) => string} [format]
 */

/**
 * @param {object} props
 * @param {string} props.title
 * @param {Series[]} props.series
 * @param {Axis} props.x
 * @param {Axis} props.y
 * @param {number} [props.height]
 * @param {boolean} [props.hasMarks]
 * @param {boolean} [props.hasTable] Whether the numbers are offered as a table; else one is beside it.
 */
export function LineChart({ title, series, x, y, height = 340, hasMarks = true, hasTable = true }) {
  const [figure, width] = useWidth(FIRST_WIDTH);
  const [hidden, setHidden] = useState(() => new Set());
  const id = `chart-${title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
  const shown = series.filter(({ name }) => !hidden.has(name));
  const [across, up] = scales(shown.length ? shown : series, x, y, width, height);
  const toggle = (name) => {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    setHidden(next);
  };
  return html`
    <figure class="chart" ref=${figure}>
      <svg role="img" aria-labelledby=${id} width=${width} height=${height} viewBox="0 0 ${width} ${height}">
        <title id=${id}>${title}. ${summary(series, y)}</title>
        <g aria-hidden="true">
          <${Axes} across=${across} up=${up} x=${x} y=${y} width=${width} height=${height} />
          ${series.map((each, place) =>
            hidden.has(each.name)
              ? null
              : html`<${Line} ...${{ series: each, place, count: series.length, across, up, hasMarks, x, y }} />`,
          )}
        </g>
      </svg>
      <ul class="legend">
        ${series.map(
          (each, place) => html`
            <li key=${each.name}>
              <button type="button" aria-pressed=${!hidden.has(each.name)} onClick=${() => toggle(each.name)}>
                <${Swatch} series=${each} place=${place} hasMarks=${hasMarks} /> ${each.name}
                ${each.now !== undefined && html`<strong>${each.now}</strong>`}
              </button>
            </li>
          `,
        )}
      </ul>
      ${
        hasTable &&
        html`<details>
        <summary>The numbers as a table</summary>
        <${ChartTable} ...${{ title, series, x, y }} />
      </details>`
      }
    </figure>
  `;
}

function Axes({ across, up, x, y, width, height }) {
  const [bottom, right] = [height - MARGIN.bottom, width - MARGIN.right];
  return html`
    <g class="axes">
      ${up.ticks.map(
        (tick) => html`
          <line class="grid" x1=${MARGIN.left} x2=${right} y1=${up(tick)} y2=${up(tick)} />
          <text x=${MARGIN.left - 8} y=${up(tick)} dy="0.32em" text-anchor="end">${format(y, tick)}</text>
        `,
      )}
      ${across.ticks.map(
        (tick) => html`
          <line x1=${across(tick)} x2=${across(tick)} y1=${bottom} y2=${bottom + 4} />
          <text x=${across(tick)} y=${bottom + 17} text-anchor="middle">${format(x, tick)}</text>
        `,
      )}
      <line x1=${MARGIN.left} x2=${right} y1=${bottom} y2=${bottom} />
      <text class="label" x=${(MARGIN.left + right) / 2} y=${height - 6} text-anchor="middle">${x.label}</text>
      <text class="label" transform="translate(13 ${(MARGIN.top + bottom) / 2}) rotate(-90)" text-anchor="middle">
        ${y.label}
      </text>
    </g>
  `;
}

function Line({ series, place, count, across, up, hasMarks, x, y }) {
  // where x is one of few values, intervals that are alike would hide each other
  const shift = x.ticks && hasMarks && count > 1 ? (place - (count - 1) / 2) * 4 : 0;
  const at = (point) => across(point.x) + shift;
  const path = series.points.map(
    (point, index) => `${index ? "L" : "M"}${at(point).toFixed(1)} ${up(point.y).toFixed(1)}`,
  );
  return html`
    <g class="series" style=${{ "--series": series.colour }}>
      <path class="line" d=${path.join("")} stroke-dasharray=${dashesOf(series)} />
      ${
        hasMarks &&
        series.points.map(
          (point) => html`
          ${
            point.low !== undefined &&
            html`<path class="interval" d=${intervalPath(at(point), up(point.low), up(point.high))} />`
          }
          <path class="mark" d=${MARKS[place % MARKS.length]} transform="translate(${at(point)} ${up(point.y)})">
            <title>${series.name}: ${format(y, point.y)}${point.note ? `, ${point.note}` : ""}</title>
          </path>
        `,
        )
      }
    </g>
  `;
}

function intervalPath(x, low, high) {
  return `M${x} ${low}V${high}M${x - 3} ${low}h6M${x - 3} ${high}h6`;
}

function Swatch({ series, place, hasMarks }) {
  return html`
    <svg class="series" width="26" height="12" aria-hidden="true" style=${{ "--series": series.colour }}>
      <path class="line" d="M1 6H25" stroke-dasharray=${dashesOf(series)} />
      ${hasMarks && html`<path class="mark" d=${MARKS[place % MARKS.length]} transform="translate(13 6)" />`}
    </svg>
  `;
}

/** The same as the chart, for whoever does not see it. */
function ChartTable({ title, series, x, y }) {
  const places = [...new Set(series.flatMap(({ points }) => points.map((point) => point.x)))].sort((a, b) => a - b);
  const cell = (each, place) => {
    const point = each.points.find((one) => one.x === place);
    if (!point) return "";
    const interval = point.low === undefined ? "" : ` (${format(y, point.low)} to ${format(y, point.high)})`;
    return `${format(y, point.y)}${interval}`;
  };
  return html`
    <div class="scroll" tabindex="0" role="region" aria-label=${title}>
      <table>
        <caption>${title}: ${y.label}</caption>
        <thead>
          <tr><th scope="col">${x.label}</th>${series.map(({ name }) => html`<th scope="col">${name}</th>`)}</tr>
        </thead>
        <tbody>
          ${places.map(
            (place) => html`
              <tr>
                <th scope="row">${format(x, place)}</th>
                ${series.map((each) => html`<td class="number">${cell(each, place)}</td>`)}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}

function summary(series, y) {
  const ends = series
    .filter(({ points }) => points.length)
    .map(({ name, points }) => `${name}: ${format(y, points.at(-1).y)} at the right`);
  return `${y.label}. ${ends.join("; ")}.`;
}

function format(axis, value) {
  return axis.format ? axis.format(value) : String(value);
}

function dashesOf({ dashes = 0 }) {
  return DASHES[dashes % DASHES.length];
}

function scales(series, x, y, width, height) {
  const points = series.flatMap((each) => each.points);
  const xs = points.map((point) => point.x);
  const ys = points.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]);
  return [
    scale(
      x,
      xs,
      MARGIN.left + (x.isLog ? 14 : 0),
      width - MARGIN.right - (x.isLog ? 14 : 0),
      Math.max(Math.floor(width / 90), 2),
    ),
    scale(y, ys, height - MARGIN.bottom, MARGIN.top, Math.max(Math.floor(height / 50), 2)),
  ];
}

/** @returns {((value: number) => number) & {ticks: number[]}} */
function scale({ isLog, domain, ticks }, values, from, to, count) {
  const [least, most] = domain ?? padded(values, isLog);
  const place = isLog ? Math.log2 : (value) => value;
  const span = place(most) - place(least) || 1;
  const at = (value) => from + ((place(value) - place(least)) / span) * (to - from);
  const chosen = ticks ?? (isLog ? powers(least, most) : niceTicks(least, most, count));
  at.ticks = thinned(
    chosen.filter((tick) => tick >= least && tick <= most),
    count * 2,
  );
  return at;
}

function padded(values, isLog) {
  const known = values.filter(Number.isFinite);
  const [least, most] = known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
  if (isLog) return least === most ? [least / 2, most * 2] : [least, most];
  const pad = (most - least || Math.abs(most) || 1) * 0.06;
  return [least >= 0 ? Math.max(least - pad, 0) : least - pad, most + pad];
}

function powers(least, most) {
  if (!(least > 0 && most < Infinity)) return [];
  const found = [];
  for (let power = Math.ceil(Math.log2(least)); 2 ** power <= most; power++) found.push(2 ** power);
  return found;
}

/** @returns {number[]} About `count` round numbers in a range: multiples of 1, 2 or 5 and a power of ten. */
export function niceTicks(least, most, count) {
  const rough = (most - least || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const found = [];
  for (let tick = Math.ceil(least / step); tick * step <= most + step * 1e-9; tick++)
    found.push(Number((tick * step).toPrecision(12)));
  return found;
}

function thinned(ticks, most) {
  const every = Math.ceil(ticks.length / most);
  return ticks.filter((_, index) => index % every === 0);
}

/** The width of an element, as it changes. */
function useWidth(first) {
  const element = useRef(null);
  const [width, setWidth] = useState(first);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.max(Math.round(entry.contentRect.width), 240)));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [element, width];
}
