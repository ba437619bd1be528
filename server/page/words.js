/** What a search did, in words. */

import { count, many, ordinal, percent, score, seconds } from "./numbers.js";
import { finalNodes, siblingsOf } from "./story.js";
import { flat, short } from "./text.js";

const STATES = {
  growing: "growing",
  expanded: "continued",
  complete: "complete",
  truncated: "cut off at the token limit",
  stopped: "stopped, since it could no longer win",
  dropped: "not continued",
  lost: "lost",
};

/** @returns {string} */
export function stateInWords(state) {
  return STATES[state] ?? state;
}

const NAMES = new Map([
  ["best_of_n", "best of N"],
  ["weighted_best_of_n", "weighted best of N"],
  ["dvts", "DVTS"],
  ["rebase", "REBASE"],
]);
const UNITS = new Map([
  ["majority", "number"],
  ["best", "best score"],
  ["tournament", "strength"],
]);

/** @returns {string} A strategy as people say it. */
export function nameOf(strategy) {
  return NAMES.get(strategy) ?? strategy.replaceAll("_", " ");
}

/** @returns {number} What an answer's votes are worth under a selection. */
export function supportOf(story, vote, selection) {
  if (selection === "majority") return vote.count;
  if (selection === "tournament") return vote.strength ?? 0;
  if (selection === "best") return bestScore(story, vote.answer) ?? vote.weight ?? 0;
  return vote.weight ?? vote.count;
}

/** @returns {number|null} The highest score among complete candidates with an answer, as it is written. */
function bestScore(story, answer) {
  const scores = [...story.nodes.values()]
    .filter((node) => node.state === "complete" && node.answer === answer && node.score !== null)
    .map((node) => node.score);
  return scores.length ? Math.max(...scores) : null;
}

/** @returns {string} The unit of such a support. */
export function unitOf(selection) {
  return UNITS.get(selection) ?? "weight";
}

/** @returns {string} A support as a number. */
export function supportInWords(value, selection) {
  return selection === "majority" ? count(value) : score(value);
}

/** @returns {string[]} Why the answer won, and what nearly won. */
export function whyItWon(story) {
  const reply = story.result;
  if (!reply) return [];
  const votes = reply.votes.filter((vote) => vote.answer !== null);
  if (!votes.length) return ["No candidate gave an answer."];
  const selection = story.selection ?? "weighted";
  const [first, second] = votes;
  const total = reply.votes.reduce((sum, vote) => sum + vote.count, 0);
  const said = [`${given(first, total)}${rule(story, first, selection)}.`];
  if (!second) {
    said.push(total > 1 ? "No candidate gave another answer." : "It is the only candidate.");
  } else {
    const gap = supportOf(story, first, selection) - supportOf(story, second, selection);
    said.push(
      `${quoted(second.answer)} came next with ${amount(story, second, selection)}, ` +
        `${supportInWords(gap, selection)} behind.`,
    );
    said.push(...otherwise(story, votes, selection));
  }
  const silent = reply.votes.find((vote) => vote.answer === null);
  if (silent) said.push(`${many(silent.count, "candidate")} gave no answer that counts.`);
  return said;
}

function given(vote, total) {
  return total === 1 ? "The one candidate gave it" : `${count(vote.count)} of ${many(total, "complete candidate")} gave it`;
}

function rule(story, vote, selection) {
  if (vote.count === 1 && selection === "majority") return "";
  const worth = amount(story, vote, selection);
  if (selection === "majority") return ", more than any other";
  if (selection === "best") return `; the best of them has the highest score, ${score(supportOf(story, vote, selection))}`;
  if (selection === "tournament") return `, and the best of them won the tournament (${worth})`;
  return `, with ${worth} in all, the most`;
}

function amount(story, vote, selection) {
  const value = supportInWords(supportOf(story, vote, selection), selection);
  if (selection === "majority") return many(vote.count, "vote");
  if (selection === "best") return `a best score of ${value}`;
  return `a ${unitOf(selection)} of ${value}`;
}

/** What other rules would have chosen. */
function otherwise(story, votes, selection) {
  const rules = [
    ["majority", "A majority"],
    ["weighted", "Adding up the scores"],
    ["best", "The single best score"],
  ].filter(([name]) => name !== selection && (name === "majority" || votes.some((vote) => vote.weight !== null)));
  const said = rules.map(([name, words]) => {
    const winner = votes.reduce((best, vote) => (supportOf(story, vote, name) > supportOf(story, best, name) ? vote : best));
    return winner === votes[0] ? null : `${words} would have chosen ${quoted(winner.answer)}.`;
  });
  const other = said.filter(Boolean);
  return other.length || rules.length === 0 ? other : ["Every other way of choosing would have taken the same answer."];
}

function quoted(answer) {
  return `\u201c${short(flat(answer), 60)}\u201d`;
}

/** @returns {string|null} Why a candidate was not continued, or how it ended. */
export function whyItEnded(story, node) {
  if (node.state === "stopped") return "Stopped: whatever it would have said, the answer could not have changed.";
  if (node.state === "truncated") return "Cut off: it reached the limit of tokens before it came to an end, and does not vote.";
  if (node.verified === false) return "Refuted: its answer failed the check, and lost its vote.";
  if (node.state !== "dropped") return null;
  if (!node.dropped) return "Not continued: others had better scores, or the search was over before its turn.";
  const { rank, of, kept, lowest_kept: lowest } = node.dropped;
  const limit = lowest === null ? "" : ` The lowest score that was kept is ${score(lowest)}.`;
  return `Not continued: ${ordinal(rank)} of ${of} compared, of which ${kept} ${kept === 1 ? "was" : "were"} kept.${limit}`;
}

/** @returns {string|null} Its place among its siblings. */
export function rankOf(story, node) {
  const siblings = siblingsOf(story, node);
  if (siblings.length < 2 || node.score === null) return null;
  const better = siblings.filter((other) => (other.score ?? -1) > node.score).length;
  return `${ordinal(better + 1)} of ${siblings.length}`;
}

/** @returns {string} How a search stands, on one line. */
export function progressOf(state) {
  const { story, phase, attempt } = state;
  if (phase === "refused") return "Waiting to ask again.";
  if (attempt) return "The connection was lost. Resuming where it broke off.";
  if (!story) return "";
  if (story.queue && story.queue.place > 0) return queueInWords(story.queue);
  if (phase === "stopped") return "Stopped.";
  if (phase === "failed") return "Failed.";
  if (phase === "done") return doneInWords(story);
  if (story.nodes.size === 0) return "Waiting for the first step.";
  const ended = finalNodes(story).length;
  const share = story.share === null ? "" : ` \u00b7 ${percent(story.share)} of the work done`;
  return `Round ${story.round || 1} \u00b7 ${many(story.nodes.size, "branch", "branches")} \u00b7 ${count(ended)} complete${share}`;
}

function queueInWords({ place, length, wait_s: wait }) {
  const about = wait === null || wait === undefined ? "" : `, about ${seconds(wait)} to wait`;
  return `In the queue: ${ordinal(place)} of ${length}${about}.`;
}

function doneInWords(story) {
  const { status, timing, usage } = story.result;
  const took = `${many(usage.candidates, "candidate")} in ${seconds(timing.total_s)}`;
  if (status === "deadline") return `Time was up: the best of what was complete by then. ${took}.`;
  if (status === "degraded") return `A model failed on the way, and some candidates were lost. ${took}.`;
  return `${took}.`;
}

/** @returns {string} How far the answer can be trusted. */
export function confidenceInWords(reply) {
  if (reply.confidence !== null) return "calibrated probability that it is right, for problems like those it was measured on";
  if (reply.diagnostics?.familiar === false) return "no confidence: the problem is unlike those it was calibrated on";
  if (reply.status !== "complete") return "no confidence: the search did not come to its end";
  return "no confidence: no such search was measured";
}

/** @returns {string|null} What `auto` found and decided. */
export function decisionInWords(story) {
  if (story.decision) return fill(story.decision.reason, story.decision.values);
  const reason = story.result?.strategy?.reason;
  return reason && reason !== "asked for by the request" ? reason : null;
}

/** Put values into the places that a reason names. */
function fill(reason, values) {
  const told = new Map(Object.entries(values));
  return reason.replace(/\{(\w+)\}/g, (place, name) => (isPlain(told.get(name)) ? String(told.get(name)) : place));
}

function isPlain(value) {
  return ["string", "number", "boolean"].includes(typeof value);
}
