/**
 * A search as far as it is known: built event by event from the stream of `POST /solve`, or at once from its reply.
 *
 * Knows nothing of the network or of the page. What an older service does not send is null and is not shown.
 *
 * @typedef {object} Step
 * @property {number} index Place in the response, from 0.
 * @property {string} text
 * @property {number|null} score Null until it is judged.
 * @property {boolean} thinking Whether it is of the thoughts.
 * @property {number|null} tokens Of this step.
 * @property {number|null} cached Tokens that the verifier read from its cache.
 *
 * @typedef {object} Dropped Why a candidate was not continued.
 * @property {number} rank From 1, among those compared.
 * @property {number} of Candidates compared.
 * @property {number} kept
 * @property {number|null} lowest_kept Score of the last that was kept.
 *
 * @typedef {object} Node A candidate, from where it leaves its parent.
 * @property {string} id
 * @property {string|null} parent
 * @property {Step[]} steps In order; only its own.
 * @property {number|null} score
 * @property {string} state growing, expanded, complete, truncated, stopped, dropped or lost.
 * @property {string|null} answer
 * @property {boolean|null} verified
 * @property {number} tokens
 * @property {Dropped|null} dropped
 *
 * @typedef {object} Story
 * @property {number} revision Grows with every change.
 * @property {number} lastId Of the last event.
 * @property {"waiting"|"running"|"complete"|"failed"} state
 * @property {string|null} id
 * @property {string|null} problem
 * @property {object|null} strategy Name and hyperparameters.
 * @property {string|null} policy
 * @property {string|null} verifier
 * @property {string|null} selection
 * @property {string|null} aggregation
 * @property {{place: number, length: number, wait_s: number|null}|null} queue
 * @property {{values: object, reason: string, confidence: number|null}|null} decision
 * @property {number} round
 * @property {Map<string, Node>} nodes Parents before their children.
 * @property {Map<string, string[]>} children Ids by parent; those of the root under "".
 * @property {{votes: object[], outstanding: number, line: number|null}|null} votes
 * @property {number|null} share Of the work done.
 * @property {object|null} usage
 * @property {number|null} elapsed_s
 * @property {object|null} result The reply.
 * @property {object|null} error Of OpenAI's form.
 */

/** Path of the root among `children`. */
export const ROOT = "";

/** @returns {Story} A search of which nothing is known yet. */
export function begin() {
  return {
    revision: 0,
    lastId: 0,
    state: "waiting",
    id: null,
    problem: null,
    strategy: null,
    policy: null,
    verifier: null,
    selection: null,
    aggregation: null,
    queue: null,
    decision: null,
    round: 0,
    nodes: new Map(),
    children: new Map(),
    votes: null,
    share: null,
    usage: null,
    elapsed_s: null,
    result: null,
    error: null,
  };
}

/**
 * Tell a story on by one event. The maps are carried over: keep the story that is returned, and no other.
 *
 * @param {Story} story
 * @param {{event: string, data: object, id?: number|string|null}} message Events that are not known change nothing.
 * @returns {Story}
 */
export function follow(story, message) {
  const tell = Object.hasOwn(CHAPTERS, message.event) ? CHAPTERS[message.event] : null;
  const id = Number(message.id) || story.lastId + 1;
  if (id <= story.lastId) return story; // sent again after a resumption
  const next = { ...story, revision: story.revision + 1, lastId: id };
  if (tell) tell(next, message.data);
  return next;
}

const CHAPTERS = {
  start(story, data) {
    const { id, problem, strategy, policy, verifier, selection, aggregation } = data;
    Object.assign(story, { id, problem, strategy, policy, verifier, selection, aggregation });
  },
  queue(story, data) {
    story.queue = data;
    if (data.place === 0) story.state = "running";
  },
  decision(story, data) {
    story.decision = data;
  },
  round(story, data) {
    story.round = data.round;
    story.state = "running";
  },
  step(story, data) {
    const node = nodeOf(story, data.node);
    const step = {
      index: data.index,
      text: data.text,
      score: data.score ?? null,
      thinking: Boolean(data.thinking),
      tokens: data.tokens ?? null,
      cached: data.cached_tokens ?? null,
    };
    const steps = node.steps;
    let place = steps.length;
    while (place > 0 && steps[place - 1].index >= step.index) place -= 1;
    const isKnown = place < steps.length && steps[place].index === step.index;
    steps.splice(place, isKnown ? 1 : 0, step);
    story.state = "running";
  },
  candidate(story, data) {
    if (data.state === "lost") return lose(story, data.id);
    const node = nodeOf(story, data.id, data.parent ?? null);
    if (node.parent !== (data.parent ?? null)) move(story, node, data.parent ?? null);
    const { score = null, state, answer = null, verified = null, tokens, dropped = null } = data;
    Object.assign(node, { score, state: stateOf(story, node.id, state), answer, verified, tokens, dropped });
  },
  votes(story, data) {
    story.votes = data;
  },
  usage(story, data) {
    story.share = Math.max(story.share ?? 0, data.share);
    story.usage = data.usage;
    story.elapsed_s = data.elapsed_s;
  },
  result(story, data) {
    conclude(story, data);
  },
  error(story, data) {
    story.error = data.error ?? data;
    story.state = "failed";
  },
};

/**
 * The story that a finished search's reply tells.
 *
 * @param {object} reply Of `POST /solve`, with `tree` and `candidates` where they were asked for.
 * @param {string|null} [problem] The reply does not hold it.
 * @returns {Story}
 */
export function fromReply(reply, problem = null) {
  const story = { ...begin(), revision: 1, problem };
  growFrom(story, reply);
  conclude(story, reply);
  return story;
}

/** Grow what a reply holds: its tree, or its candidates where it has none. */
function growFrom(story, reply) {
  const ends = new Map([[null, 0]]); // by node, the place behind its last step
  for (const told of reply.tree?.nodes ?? []) {
    const node = nodeOf(story, told.id, told.parent ?? null);
    const first = ends.get(node.parent) ?? 0;
    ends.set(node.id, first + told.steps.length);
    node.steps = told.steps.map((step, place) => ({
      index: first + place,
      text: step.text,
      score: step.score ?? null,
      thinking: Boolean(step.thinking),
      tokens: null,
      cached: null,
    }));
    Object.assign(node, { score: told.score ?? null, state: told.state, tokens: told.tokens });
  }
  if (!reply.tree) for (const told of reply.candidates ?? []) growWhole(story, told);
}

/** A candidate of a reply without a tree: alone, with all of its steps. */
function growWhole(story, told) {
  const node = nodeOf(story, told.id, null);
  node.steps = told.steps.map((step, index) => ({ tokens: null, cached: null, thinking: false, ...step, index }));
  Object.assign(node, { score: told.score ?? null, state: told.finish, tokens: told.tokens });
}

function conclude(story, reply) {
  story.result = reply;
  story.state = "complete";
  story.id = story.id ?? reply.id;
  story.strategy = reply.strategy ?? story.strategy;
  story.selection = reply.strategy?.selection ?? story.selection ?? selectionOf(story.strategy?.name);
  story.usage = reply.usage ?? story.usage;
  story.elapsed_s = reply.timing?.total_s ?? story.elapsed_s;
  story.share = 1;
  story.votes = { votes: reply.votes ?? [], outstanding: 0, line: story.votes?.line || null };
  if (reply.tree?.nodes.some((node) => !story.nodes.has(node.id))) {
    Object.assign(story, { nodes: new Map(), children: new Map() }); // events are missing: the reply knows better
    growFrom(story, reply);
  }
  for (const told of reply.candidates ?? []) {
    const node = story.nodes.get(told.id);
    if (node) Object.assign(node, { answer: told.answer ?? null, verified: told.verified ?? null });
  }
  for (const node of story.nodes.values()) {
    if (story.children.has(node.id)) node.state = "expanded";
    else if (node.state === "growing") node.state = "dropped";
  }
}

/** How a strategy chooses where a reply does not say. */
function selectionOf(name) {
  if (name === "majority") return "majority";
  return name === "best_of_n" ? "best" : "weighted";
}

function nodeOf(story, id, parent) {
  const known = story.nodes.get(id);
  if (known) return known;
  const node = {
    id,
    parent: parent === undefined ? guessParent(story, id) : parent,
    steps: [],
    score: null,
    state: "growing",
    answer: null,
    verified: null,
    tokens: 0,
    dropped: null,
  };
  story.nodes.set(id, node);
  adopt(story, node);
  return node;
}

/** Steps come before their candidate: its parent is the node whose id is all but the last part, where there is one. */
function guessParent(story, id) {
  const parent = id.slice(0, Math.max(0, id.lastIndexOf(".")));
  return story.nodes.has(parent) ? parent : null;
}

function adopt(story, node) {
  const key = node.parent ?? ROOT;
  const siblings = story.children.get(key);
  if (siblings) siblings.push(node.id);
  else story.children.set(key, [node.id]);
  const parent = story.nodes.get(node.parent);
  if (parent) parent.state = "expanded";
}

function leave(story, node) {
  const key = node.parent ?? ROOT;
  const others = (story.children.get(key) ?? []).filter((id) => id !== node.id);
  if (others.length) story.children.set(key, others);
  else story.children.delete(key);
}

function move(story, node, parent) {
  leave(story, node);
  node.parent = parent;
  adopt(story, node);
}

function lose(story, id) {
  const node = story.nodes.get(id);
  if (!node) return;
  leave(story, node);
  story.nodes.delete(id);
}

function stateOf(story, id, state) {
  return story.children.has(id) ? "expanded" : state;
}

/** @returns {Node[]} From the child of the root down to a node, the node itself last. */
export function pathTo(story, id) {
  const path = [];
  for (let node = story.nodes.get(id); node; node = story.nodes.get(node.parent)) path.unshift(node);
  return path;
}

/** @returns {Step[]} All steps of a candidate, from the root on. */
export function stepsOf(story, id) {
  return pathTo(story, id).flatMap((node) => node.steps);
}

/** @returns {string} The response of a candidate, without its thoughts. */
export function responseOf(story, id) {
  return stepsOf(story, id)
    .filter((step) => !step.thinking)
    .map((step) => step.text)
    .join("");
}

/** @returns {string[]} The children of a node, or of the `ROOT`, in the order of their ids: events come as they happen. */
export function childrenOf(story, id) {
  return [...(story.children.get(id) ?? [])].sort((one, other) => numberOf(one) - numberOf(other));
}

function numberOf(id) {
  return Number(id.slice(id.lastIndexOf(".") + 1));
}

/** @returns {Node[]} Those with one parent, the best first; those that were not judged last. */
export function siblingsOf(story, node) {
  const ids = story.children.get(node.parent ?? ROOT) ?? [];
  return ids.map((id) => story.nodes.get(id)).sort((one, other) => (other.score ?? -1) - (one.score ?? -1));
}

/** @returns {Node[]} Candidates that were brought to an end, or stopped. */
export function finalNodes(story) {
  return [...story.nodes.values()].filter((node) => ["complete", "truncated", "stopped"].includes(node.state));
}

/** @returns {string|null} The candidate whose response is the reply's. */
export function chosenOf(story) {
  const reply = story.result;
  if (!reply || reply.response == null) return null;
  const same = (reply.candidates ?? [])
    .filter((candidate) => candidate.response === reply.response && story.nodes.has(candidate.id))
    .sort((one, other) => Number(other.score === reply.score) - Number(one.score === reply.score));
  if (same.length) return same[0].id;
  const found = [...story.nodes.values()].find(
    (node) => !story.children.has(node.id) && responseOf(story, node.id).trim() === reply.response.trim(),
  );
  return found ? found.id : null;
}

/** @returns {number} Tokens generated, as far as the candidates tell. */
export function tokensSoFar(story) {
  if (story.usage) return story.usage.completion_tokens;
  let tokens = 0;
  for (const node of story.nodes.values()) tokens += node.tokens;
  return tokens;
}
