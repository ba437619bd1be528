/**
 * Prometheus' text format, as far as the page reads it: samples by name and labels, and what follows from two readings.
 *
 * Source: the documentation of Prometheus, "Exposition formats", text-based format 0.0.4.
 */

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?/y;
const ESCAPES = { n: "\n", '"': '"', "\\": "\\" };
const SPECIAL = new Map([
  ["+Inf", Infinity],
  ["-Inf", -Infinity],
  ["NaN", NaN],
]);

/** Return the samples by name: Map of name -> [{ labels, value }]. Lines that are none are left out. */
export function readMetrics(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const sample = line.startsWith("#") ? null : sampleOf(line);
    if (!sample) continue;
    if (!samples.has(sample.name)) samples.set(sample.name, []);
    samples.get(sample.name).push(sample);
  }
  return samples;
}

function sampleOf(line) {
  NAME.lastIndex = 0;
  const name = NAME.exec(line)?.[0];
  if (!name) return null;
  const labels = {};
  let end = NAME.lastIndex;
  if (line[end] === "{") {
    LABEL.lastIndex = end + 1;
    for (let label = null; (label = LABEL.exec(line));) {
      labels[label[1]] = label[2].replace(/\\(.)/g, (both, letter) => ESCAPES[letter] ?? both);
      end = LABEL.lastIndex - 1;
    }
    end = line.indexOf("}", end) + 1;
    if (!end) return null;
  }
  const [spelt] = line.slice(end).trim().split(/\s+/); // a timestamp may follow
  const value = numberOf(spelt);
  return Number.isNaN(value) && spelt !== "NaN" ? null : { name, labels, value };
}

function numberOf(spelt) {
  return SPECIAL.has(spelt) ? SPECIAL.get(spelt) : Number(spelt || NaN);
}

/** The sum of the samples of a name that have these labels; null where there is none. */
export function total(samples, name, labels = {}) {
  const found = matching(samples, name, labels);
  return found.length ? found.reduce((sum, { value }) => sum + value, 0) : null;
}

/** The values that a label has among the samples of a name, in order. */
export function valuesOf(samples, name, label) {
  return [...new Set((samples.get(name) ?? []).map(({ labels }) => labels[label]).filter(Boolean))].sort();
}

/** How much a counter grew between two readings; one that was started anew counts from 0. */
export function growth(before, after, name, labels = {}) {
  const [old, now] = [total(before, name, labels), total(after, name, labels)];
  if (now === null) return null;
  return now >= (old ?? 0) ? now - (old ?? 0) : now;
}

/**
 * The value that a share of what a histogram counted between two readings does not exceed, within its bucket by a
 * straight line; null where nothing was counted, and the last bound where it lies above that.
 */
export function quantile(before, after, name, share, labels = {}) {
  const counts = valuesOf(after, `${name}_bucket`, "le")
    .map((le) => [le, numberOf(le)])
    .sort(([, a], [, b]) => a - b)
    .map(([le, bound]) => [bound, growth(before, after, `${name}_bucket`, { ...labels, le })]);
  const all = counts.at(-1)?.[1];
  if (!all) return null;
  let [low, below] = [0, 0];
  for (const [bound, count] of counts) {
    if (count >= share * all)
      return bound === Infinity ? low : low + (bound - low) * ((share * all - below) / (count - below));
    [low, below] = [bound, count];
  }
  return null;
}

function matching(samples, name, labels) {
  const wanted = Object.entries(labels);
  return (samples.get(name) ?? []).filter(({ labels: own }) => wanted.every(([label, value]) => own[label] === value));
}
