/**
 * One search of a service at a time, and the story that it tells; views subscribe to it.
 *
 * Subscribers are called at most once a frame, however many events come.
 */

import { pause, ServiceError } from "./api.js";
import { begin, follow, fromReply } from "./story.js";

/**
 * @typedef {object} SearchState
 * @property {"idle"|"refused"|"running"|"done"|"stopped"|"failed"} phase refused: it is asked for again in a while.
 * @property {import("./story.js").Story|null} story
 * @property {object|null} request What was asked.
 * @property {ServiceError|null} error
 * @property {number|null} retryAt When it is asked for again, by Date.now().
 * @property {number} attempt Of a connection that was lost; 0 while it holds.
 * @property {boolean} isOpen Whether the service has accepted the request.
 * @property {string|null} id Of a search that outlives its connection.
 * @property {number|null} startedAt By Date.now().
 * @property {object[]} events As they came, each with `at`: ms since the start. For a recording.
 *
 * @typedef {object} Search
 * @property {() => SearchState} state
 * @property {(listener: () => void) => () => void} subscribe Returns what ends it.
 * @property {(request: object) => Promise<void>} start Ends the one before.
 * @property {(id: string) => Promise<void>} attach To a search in the background.
 * @property {(reply: object, problem?: string|null) => void} show A finished search.
 * @property {() => Promise<void>} stop The engines, too.
 */

const IDLE = {
  phase: "idle",
  story: null,
  request: null,
  error: null,
  retryAt: null,
  attempt: 0,
  isOpen: false,
  id: null,
  startedAt: null,
  events: [],
};

/**
 * @param {import("./api.js").Service} service
 * @returns {Search}
 */
export function createSearch(service) {
  const listeners = new Set();
  let state = IDLE;
  let controller = new AbortController();
  let frame = 0;

  function set(change) {
    state = { ...state, ...change };
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      listeners.forEach((listener) => listener());
    });
  }

  function reader(signal) {
    return {
      signal,
      onEvent(message) {
        if (signal.aborted) return;
        state.events.push({ ...message, at: Date.now() - state.startedAt });
        set({ story: follow(state.story, message), attempt: 0 });
      },
      onOpen(id) {
        if (signal.aborted) return;
        set({ isOpen: true, id });
        if (state.phase === "stopped") end(id);
      },
      onConnection(attempt) {
        if (!signal.aborted) set({ attempt });
      },
    };
  }

  async function run(request, open) {
    if (state.phase === "running" && state.isOpen) void end(state.id);
    else controller.abort();
    controller = new AbortController();
    const { signal } = controller;
    for (;;) {
      const story = { ...begin(), problem: request?.problem ?? null };
      set({ ...IDLE, phase: "running", request, story, startedAt: Date.now(), events: [] });
      try {
        await open(reader(signal));
        if (signal.aborted || state.phase !== "running") return;
        set({ phase: state.story.error ? "failed" : "done", error: toldBy(state.story) });
        return;
      } catch (error) {
        if (signal.aborted || state.phase === "stopped") return;
        if (error.status !== 429 || error.retryAfter === null) {
          set({ phase: "failed", error: asServiceError(error) });
          return;
        }
        set({ phase: "refused", error, retryAt: Date.now() + error.retryAfter * 1000 });
        await pause(error.retryAfter * 1000, signal).catch(() => {});
        if (signal.aborted) return;
      }
    }
  }

  /** A search that outlives its connection is told to stop; any other stops with it. */
  async function end(id) {
    const ended = controller;
    if (id) await service.cancel(id).catch(() => {});
    ended.abort();
  }

  async function stop() {
    const { phase, isOpen } = state;
    if (phase !== "running" && phase !== "refused") return;
    set({ phase: "stopped", retryAt: null, attempt: 0 });
    if (phase === "refused" || isOpen) await end(state.id); // otherwise as soon as it is open
  }

  return {
    state: () => state,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    start: (request) => run(request, (reading) => service.solve(request, reading)),
    attach: (id) => run(null, (reading) => service.attach(id, reading)),
    show(reply, problem = null) {
      controller.abort();
      set({ ...IDLE, phase: "done", story: fromReply(reply, problem), events: [] });
    },
    stop,
  };
}

function toldBy(story) {
  if (!story.error) return null;
  return new ServiceError(story.error.message ?? "The search failed.", { code: story.error.code ?? null });
}

function asServiceError(error) {
  if (error instanceof ServiceError) return error;
  console.error(error);
  return new ServiceError("This page failed. Reload it, and look at the browser's console if it happens again.");
}
