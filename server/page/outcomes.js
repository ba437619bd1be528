/**
 * Files of outcomes, as `winnow eval --out` writes them: how every problem went in every cell.
 *
 * Source: search/evaluation/outcomes.py, which this follows: the last outcome of a problem in a cell counts.
 */

import { readLines } from "./lines.js";

const MAX_N = 65_536;
const MOST = 1e15; // of what is counted or timed: sums of larger numbers say nothing
const isText = (value) => typeof value === "string";
const isCount = (value) => Number.isInteger(value);
const isTokens = (value) => isCount(value) && value >= 0 && value <= MOST;
const isBudget = (value) => isCount(value) && value >= 1 && value <= MAX_N;
const isMeasure = (value) => value === null || (Number.isFinite(value) && Math.abs(value) <= MOST);

const FIELDS = {
  problem: [isText],
  level: [(value) => value === null || isCount(value)],
  strategy: [isText],
  n: [isBudget],
  seed: [isCount],
  answer: [(value) => value === null || isText(value)],
  is_correct: [(value) => typeof value === "boolean"],
  completion_tokens: [isTokens],
  verifier_tokens: [isMeasure, null],
  verifier_cached_tokens: [isMeasure, null],
  seconds: [isMeasure, null],
  early_stop: [(value) => value === null || typeof value === "boolean" || isText(value), null],
  num_right: [(value) => value === null || (isCount(value) && value >= 0 && value <= MAX_N), null],
  confidence: [isMeasure, null],
  varied: [isVaried, {}],
};

const MAX_SHOWN = 40;

/** Return { name, made, outcomes } of a file of outcomes. Throws an Error that names the line. */
export function readOutcomes(text, fileName) {
  const lines = readLines(text);
  const [, head] = lines.next().value ?? [1, {}];
  if (head instanceof Error || !isObject(head.made) || "request" in head) {
    throw new Error(`${fileName}, line 1: does not say how it was made, as files of winnow eval --out do`);
  }
  const outcomes = new Map();
  for (const [number, record] of lines) {
    if (record instanceof Error) throw new Error(`${fileName}, line ${number}: ${record.message}`);
    if ("told" in record) continue; // where a run went on, it tells of itself
    const outcome = outcomeOf(record, `${fileName}, line ${number}`);
    outcomes.set(cellKey(outcome.problem, outcome), outcome);
  }
  return { name: modelsOf(head) || fileName.replace(/\.\w+$/, ""), made: head.made, outcomes: [...outcomes.values()] };
}

/** Tell whether a first line is one of a file of outcomes. */
export function isHead(record) {
  return isObject(record.made) && !("request" in record) && !("problem" in record);
}

/** The text that identifies a problem in a cell. */
export function cellKey(problem, { strategy, n, seed, varied = {} }) {
  return JSON.stringify([problem, strategy, n, seed, Object.entries(varied)]);
}

/** A configuration at a budget, as `winnow eval` writes it. */
export function pointName({ strategy, n, varied }) {
  return `${strategy}@${n}${shownVaried(varied)}`;
}

/** A strategy and the fields in which it differs from other configurations of it. */
export function configurationName({ strategy, varied }) {
  return strategy + shownVaried(varied);
}

function shownVaried(varied) {
  return Object.entries(varied)
    .map(([name, value]) => `,${name}=${shortened(value)}`)
    .join("");
}

function shortened(value) {
  const text = value === null ? "none" : String(value).split(/\s+/).filter(Boolean).join(" ");
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}...`;
}

function outcomeOf(record, where) {
  const missing = Object.keys(FIELDS).filter((name) => !(name in record) && FIELDS[name].length === 1);
  if (missing.length) throw new Error(`${where}: no ${missing.sort().join(", ")}`);
  const outcome = {};
  for (const [name, [fits, usual]] of Object.entries(FIELDS)) {
    const value = name in record ? record[name] : usual;
    if (!fits(value)) throw new Error(`${where}: ${name} cannot be ${JSON.stringify(value).slice(0, 60)}`);
    outcome[name] = value;
  }
  return outcome;
}

function isVaried(value) {
  return (
    isObject(value) && Object.values(value).every((each) => each === null || isText(each) || Number.isFinite(each))
  );
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** The names of the models: what the run tells, else what its outcomes depend on; the last two parts of each. */
function modelsOf({ told, made }) {
  const named = isObject(told) && Array.isArray(told.models) ? told.models : [made.policy, made.verifier];
  return named
    .filter((model) => isText(model) && model !== "")
    .map((model) => model.replace(/\/+$/, "").split("/").slice(-2).join("/"))
    .join(" + ");
}
