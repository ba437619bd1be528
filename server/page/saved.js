/**
 * Finished searches in files: the page's own, those of `winnow solve --json` and `--file`, of `winnow eval --searches`.
 *
 * A line holds what was asked (`request`) beside the fields of the reply; the page adds the events of the stream, with
 * the time of each. So `winnow export` and `winnow revote` read what the page saves. What is read here was written by
 * anybody: every field that the page draws is checked, and a line that cannot be used is told with its number.
 */

import { isHead } from "./outcomes.js";
import { readLines } from "./lines.js";

export const MAX_SEARCHES = 2_000; // of one opening
export const MAX_NODES = 20_000; // of a search
const MAX_EVENTS = 200_000;
const MAX_DEPTH = 1_000;

const NODE = /^\d{1,9}(\.\d{1,9})*$/;
const STATES = ["expanded", "complete", "truncated", "stopped", "dropped"];

/** Return the text of a file of one search. */
export function savedText(request, reply, events) {
  const { id, ...told } = reply;
  const asked = Object.fromEntries(
    Object.entries(request).filter(([name]) => name !== "stream" && name !== "background"),
  );
  const before = events.filter(({ event }) => event !== "result"); // which the line itself is
  return `${JSON.stringify({ request: asked, ...told, request_id: id, events: before })}\n`;
}

/** @returns {Saved} A search that has ended on this page. */
export function finished(request, reply, events, where) {
  return { problem: request.problem, request, reply, events, golds: [], level: null, leftOut: [], where };
}

/**
 * @typedef {object} Saved
 * @property {string|null} problem
 * @property {object} request As far as the file tells it.
 * @property {object} reply
 * @property {object[]|null} events
 * @property {string[]} golds Right answers.
 * @property {number|null} level
 * @property {string[]} leftOut What the line was too long to hold.
 * @property {string} where File and line.
 *
 * @param {string} text
 * @param {string} fileName
 * @param {number} [most] Searches.
 * @returns {{searches: Saved[], faults: string[], outcomes: boolean}} outcomes: it is a file of these, and holds none.
 */
export function readSaved(text, fileName, most = MAX_SEARCHES) {
  const [searches, faults] = [[], []];
  for (const [number, record] of readLines(text)) {
    const where = `${fileName}, line ${number}`;
    if (!(record instanceof Error) && number === 1 && isHead(record)) return { searches, faults, outcomes: true };
    try {
      if (record instanceof Error) throw record;
      if (searches.length === most)
        throw new Error(`more than ${most.toLocaleString("en")} searches; open fewer at a time`);
      searches.push({ ...searchOf(record), where });
    } catch (error) {
      faults.push(`${where}: ${error.message}`);
      if (searches.length === most) break;
    }
  }
  if (!searches.length && !faults.length) faults.push(`${fileName} is empty`);
  return { searches, faults, outcomes: false };
}

function searchOf(record) {
  if ("error" in record)
    throw new Error(`it has no reply: ${String(record.error?.message ?? record.error).slice(0, 200)}`);
  const request = optional(record, "request", isObject, "an object") ?? {};
  const problem = request.problem ?? record.problem ?? null;
  if (problem !== null && typeof problem !== "string") throw new Error("request.problem: not text");
  const reply = replyOf(record);
  return {
    problem,
    request,
    reply,
    events: eventsOf(record),
    golds: optional(record, "gold", isListOf(isText), "a list of texts") ?? [],
    level: optional(record, "level", Number.isInteger, "a whole number"),
    leftOut: optional(record, "left_out", isListOf(isText), "a list of texts") ?? [],
  };
}

/** The reply of a record, checked where the page reads it. */
function replyOf(record) {
  const strategy = needed(record, "strategy", isObject, "an object; is this a reply of POST /solve?");
  if (!isText(strategy.name)) throw new Error("strategy.name: not text");
  if (!isCount(strategy.n) || strategy.n < 1) throw new Error("strategy.n: not a whole number above 0");
  for (const name of ["reason", "selection"]) optional(strategy, name, isText, "text");
  const votes = optional(record, "votes", isList, "a list") ?? [];
  const wrongVote = votes.findIndex((vote) => !isVote(vote));
  if (wrongVote >= 0) throw new Error(`votes.${wrongVote}: not a vote`);
  for (const name of ["answer", "response", "thinking", "status_reason"]) optional(record, name, isText, "text");
  for (const name of ["score", "confidence"]) optional(record, name, Number.isFinite, "a number");
  const usage = optional(record, "usage", isObject, "an object") ?? {};
  const timing = optional(record, "timing", isObject, "an object") ?? {};
  for (const [group, values] of Object.entries({ usage, timing })) {
    const wrong = Object.entries(values).find(([, value]) => !Number.isFinite(value));
    if (wrong) throw new Error(`${group}.${wrong[0]}: not a number`);
  }
  const diagnostics = optional(record, "diagnostics", isObject, "an object") ?? {};
  optional(diagnostics, "warnings", isListOf(isText), "a list of texts");
  const { candidates, tree } = { candidates: nodesOf(record.candidates, "candidates"), tree: treeOf(record.tree) };
  return {
    id: record.request_id ?? record.id ?? "",
    answer: record.answer ?? null,
    response: record.response ?? null,
    thinking: record.thinking ?? null,
    trial: record.trial ?? null,
    score: record.score ?? null,
    confidence: record.confidence ?? null,
    status: isText(record.status) ? record.status : "complete",
    status_reason: record.status_reason ?? null,
    strategy,
    votes,
    diagnostics: { ...diagnostics, warnings: diagnostics.warnings ?? [] },
    usage,
    timing,
    candidates,
    tree,
  };
}

function treeOf(tree) {
  if (tree === undefined || tree === null) return null;
  if (!isObject(tree)) throw new Error("tree: not an object");
  const nodes = nodesOf(tree.nodes, "tree.nodes") ?? [];
  const depths = new Map();
  for (const [index, { id, parent }] of nodes.entries()) {
    if (depths.has(id)) throw new Error(`tree.nodes.${index}: ${id} is there twice`);
    if (parent !== null && !depths.has(parent))
      throw new Error(`tree.nodes.${index}: its parent ${parent} does not precede it`);
    depths.set(id, depthBelow(parent, depths, `tree.nodes.${index}`));
  }
  return { nodes };
}

function depthBelow(parent, depths, where) {
  const depth = parent === null ? 1 : depths.get(parent) + 1;
  if (depth > MAX_DEPTH) throw new Error(`${where}: too deep; allowed: ${MAX_DEPTH} candidates one after the other`);
  return depth;
}

function nodesOf(nodes, where) {
  if (nodes === undefined || nodes === null) return null;
  if (!isList(nodes)) throw new Error(`${where}: not a list`);
  if (nodes.length > MAX_NODES)
    throw new Error(`${where}: ${nodes.length.toLocaleString("en")} are too many; allowed: ${MAX_NODES}`);
  for (const [index, node] of nodes.entries()) {
    const fault = faultOf(node);
    if (fault) throw new Error(`${where}.${index}${fault}`);
  }
  return nodes.map((node) => ({ ...node, parent: node.parent ?? null }));
}

function faultOf(node) {
  if (!isObject(node)) return ": not an object";
  if (!isNode(node.id)) return ".id: no name of a node";
  if (!isTextOrNull(node.parent ?? null)) return ".parent: not text";
  if (!isList(node.steps)) return ".steps: not a list";
  const step = node.steps.findIndex(
    (each) => !isObject(each) || !isText(each.text) || !isNumberOrNull(each.score ?? null),
  );
  if (step >= 0) return `.steps.${step}: not a step`;
  if (!isNumberOrNull(node.score ?? null)) return ".score: not a number";
  if (!isCount(node.tokens)) return ".tokens: not a whole number";
  if (!STATES.includes(node.state ?? node.finish)) return ".state: not known";
  if (!isTextOrNull(node.answer ?? null) || !isTextOrNull(node.response ?? null)) return ".answer: not text";
  return "";
}

/** What the data of an event must be, where the page reads it; others are left out. */
const EVENTS = {
  start: ({ strategy, selection = null, problem = null }) =>
    isObject(strategy) && isText(strategy.name) && isCount(strategy.n) && isTextOrNull(selection) && isTextOrNull(problem),
  queue: ({ place, length, wait_s: wait = null }) => isCount(place) && isCount(length) && isNumberOrNull(wait),
  decision: ({ reason, values }) => isText(reason) && isObject(values),
  round: ({ round }) => isCount(round),
  step: ({ node, index, ...step }) => isNode(node) && isCount(index) && isStep(step),
  candidate: ({ id, parent = null, score = null, answer = null, tokens, state, dropped = null }) =>
    isNode(id) &&
    (parent === null || isNode(parent)) &&
    isNumberOrNull(score) &&
    isTextOrNull(answer) &&
    isCount(tokens) &&
    (STATES.includes(state) || state === "growing" || state === "lost") &&
    (dropped === null || isOfNumbers(dropped)),
  votes: ({ votes, outstanding, line = null }) =>
    isListOf(isVote)(votes) && isCount(outstanding) && isNumberOrNull(line),
  usage: ({ share, usage, elapsed_s: elapsed }) => isOfNumbers({ share, elapsed }) && isOfNumbers(usage),
};

/** The events that the page saved with a search; null where there are none. The last, its reply, stands beside them. */
function eventsOf(record) {
  const events = optional(record, "events", isList, "a list");
  if (events === null) return null;
  if (events.length > MAX_EVENTS) throw new Error(`events: ${events.length} are too many; allowed: ${MAX_EVENTS}`);
  const isRight = (each) =>
    isObject(each) && isText(each.event) && isObject(each.data) && isNumberOrNull(each.at ?? null);
  const wrong = events.findIndex(
    (each) => !isRight(each) || (Object.hasOwn(EVENTS, each.event) && !EVENTS[each.event](each.data)),
  );
  if (wrong >= 0) throw new Error(`events.${wrong}: not an event of a search`);
  requireTree(events);
  return events.filter(({ event }) => Object.hasOwn(EVENTS, event));
}

/** Candidates follow their parents, and keep them: so nothing is its own ancestor. */
function requireTree(events) {
  const [parents, depths] = [new Map(), new Map()];
  for (const [index, { event, data }] of events.entries()) {
    if (event !== "candidate") continue;
    const { id, parent = null } = data;
    const known = parents.has(id) ? parents.get(id) : parent;
    if (parent !== null && (!parents.has(parent) || parent !== known))
      throw new Error(`events.${index}: ${id} cannot follow ${parent}`);
    parents.set(id, parent);
    depths.set(id, depthBelow(parent, depths, `events.${index}`));
    if (parents.size > MAX_NODES) throw new Error(`events: more than ${MAX_NODES} candidates`);
  }
}

function needed(record, name, fits, what) {
  if (record[name] === undefined || record[name] === null) throw new Error(`no ${name}; ${whatItHas(record)}`);
  if (!fits(record[name])) throw new Error(`${name}: not ${what}`);
  return record[name];
}

function optional(record, name, fits, what) {
  const value = record[name] ?? null;
  if (value !== null && !fits(value)) throw new Error(`${name}: not ${what}`);
  return value;
}

function whatItHas(record) {
  const names = Object.keys(record)
    .slice(0, 8)
    .map((name) => name.slice(0, 40));
  return names.length ? `it has ${names.join(", ")}` : "it has nothing";
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

const isList = Array.isArray;
const isListOf = (fits) => (value) => isList(value) && value.every(fits);
const isText = (value) => typeof value === "string";
const isCount = (value) => Number.isInteger(value) && value >= 0;
const isTextOrNull = (value) => value === null || isText(value);
const isNumberOrNull = (value) => value === null || Number.isFinite(value);
const isNode = (value) => isText(value) && NODE.test(value) && value.split(".").length <= MAX_DEPTH;
const isStep = ({ text, score = null }) => isText(text) && isNumberOrNull(score);
const isVote = (vote) =>
  isObject(vote) &&
  isTextOrNull(vote.answer) &&
  isCount(vote.count) &&
  isNumberOrNull(vote.weight ?? null) &&
  isNumberOrNull(vote.strength ?? null);
const isOfNumbers = (value) => isObject(value) && Object.values(value).every(isNumberOrNull);
