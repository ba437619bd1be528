/**
 * A finished search as a sequence of moments, from its first event to its answer, for a scrubber.
 *
 * Where the events were saved, every event is a moment, at its time. Where only the reply is there, the rounds of its
 * tree are, since a reply does not tell in which order things happened within one; nor does it tell the votes as they
 * ran.
 */

import { begin, follow } from "./story.js";

/**
 * @typedef {object} Timeline
 * @property {object[]} events As the stream of `POST /solve` sends them; `at` in ms since the start, where it is known.
 * @property {number[]} moments Numbers of events told at each moment, rising; the last is all of them.
 * @property {boolean} isRecorded Whether the events are those that were sent, and not made from the reply.
 */

/**
 * @param {import("./saved.js").Saved} search
 * @returns {Timeline}
 */
export function timelineOf({ reply, events, problem }) {
  if (events?.length) {
    const told = [...events.filter(({ event }) => event !== "result"), { event: "result", data: reply }];
    return numbered(
      told,
      told.map((_, index) => index + 1),
      true,
    );
  }
  const { made, moments } = eventsOf(reply, problem);
  return numbered(made, moments, false);
}

/** @returns {import("./story.js").Story} The search as it was at a moment. */
export function storyAt({ events, moments }, moment, problem = null) {
  const count = moments[Math.min(moment, moments.length - 1)];
  return events.slice(0, count).reduce(follow, { ...begin(), problem });
}

/** @returns {import("./story.js").Story} The search at a later moment; the story told so far is used up. */
export function tellOn({ events, moments }, story, from, to) {
  return events.slice(moments[from], moments[to]).reduce(follow, story);
}

/** @returns {string} What happened at a moment, in words. */
export function momentInWords({ events, moments, isRecorded }, moment) {
  const last = events[moments[moment] - 1];
  if (last.event === "result") return "the answer";
  if (!isRecorded) return moment === 0 ? "the start" : `round ${moment}`;
  const { data } = last;
  switch (last.event) {
    case "start":
      return "the start";
    case "queue":
      return data.place ? `place ${data.place} in the queue` : "its turn comes";
    case "decision":
      return "auto decides";
    case "round":
      return `round ${data.round} begins`;
    case "step":
      return data.score == null
        ? `${data.node} grows by a step`
        : `a step of ${data.node} is judged ${data.score.toFixed(2)}`;
    case "candidate":
      return `${data.id}: ${data.state}`;
    case "votes":
      return "a vote is counted";
    default:
      return "the bill";
  }
}

function numbered(events, moments, isRecorded) {
  return { events: events.map((each, index) => ({ ...each, id: index + 1 })), moments, isRecorded };
}

/** Make the events of a reply: round by round, what was not continued dropped before the next one begins. */
function eventsOf(reply, problem) {
  const nodes = reply.tree?.nodes ?? (reply.candidates ?? []).map((each) => ({ ...each, parent: null }));
  const ends = new Map((reply.candidates ?? []).map((each) => [each.id, each]));
  const rounds = new Map();
  for (const node of nodes) {
    const round = reply.tree ? node.id.split(".").length : 1;
    rounds.set(round, [...(rounds.get(round) ?? []), node]);
  }
  const { strategy } = reply;
  const made = [
    { event: "start", data: { id: reply.id, problem, strategy, policy: null, verifier: null } },
    { event: "queue", data: { place: 0, length: 0, wait_s: 0 } },
  ];
  const moments = [made.length];
  const lengths = new Map();
  let dropped = [];
  for (const round of [...rounds.keys()].sort((a, b) => a - b)) {
    made.push(...dropped, { event: "round", data: { round } });
    dropped = [];
    for (const node of rounds.get(round)) {
      const first = lengths.get(node.parent) ?? 0;
      lengths.set(node.id, first + node.steps.length);
      node.steps.forEach((step, place) => {
        const { text, score = null, thinking = false } = step;
        made.push({ event: "step", data: { node: node.id, index: first + place, text, score, thinking } });
      });
      const state = node.state ?? node.finish;
      const { answer = null, verified = null } = ends.get(node.id) ?? {};
      const { id, parent, tokens, score = null } = node;
      const isOpen = state === "expanded" || state === "dropped";
      const candidate = { id, parent, score, tokens, answer, verified, dropped: null };
      made.push({ event: "candidate", data: { ...candidate, state: isOpen ? "growing" : state } });
      if (state === "dropped") dropped.push({ event: "candidate", data: { ...candidate, state } });
    }
    moments.push(made.length);
  }
  made.push(...dropped, { event: "result", data: reply });
  moments.push(made.length);
  return { made, moments };
}
