/**
 * The service over HTTP: requests with the key of this tab, streams that resume, errors in words.
 *
 * Knows the routes; knows nothing of what a search means.
 */

import { keep, kept } from "./kept.js";

const KEY = "winnow-key";
const RESUME_WITHIN_MS = 60_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;
const BUSY_MS = 30;
const POLL_MS = 1_000;
/** Why a service cannot keep a search now, which it runs all the same if it need not. */
const UNKEPT = ["background_full", "store_unavailable"];

/** What a service could not or would not do, in words. */
export class ServiceError extends Error {
  /**
   * @param {string} message
   * @param {{status?: number, code?: string|null, param?: string|null, retryAfter?: number|null}} [more]
   */
  constructor(message, { status = 0, code = null, param = null, retryAfter = null } = {}) {
    super(message);
    this.name = "ServiceError";
    this.status = status;
    this.code = code;
    this.param = param;
    /** Seconds until a retry may succeed; null if nobody can say. */
    this.retryAfter = retryAfter;
  }
}

/**
 * @typedef {object} Service
 * @property {() => string|null} key The key of this tab.
 * @property {(key: string|null) => void} setKey
 * @property {(path: string, options?: RequestInit & {json?: unknown}) => Promise<Response>} request
 *   Asks for a key where one is missing; throws a ServiceError unless the reply is a success.
 * @property {() => Promise<object>} about What the page needs to begin.
 * @property {(body: object, signal?: AbortSignal) => Promise<object|null>} estimate Null where there is none.
 * @property {(body: object, reader: StreamReader) => Promise<void>} solve Ends with the stream.
 * @property {(id: string, reader: StreamReader) => Promise<void>} attach The events of a background search, from the first.
 * @property {(id: string) => Promise<void>} cancel Stops a background search, and its engines.
 *
 * @typedef {object} StreamReader
 * @property {(message: {event: string, data: object, id: string|null}) => void} onEvent
 * @property {(id: string|null) => void} [onOpen] The request was accepted; with the id of a search that may be resumed.
 * @property {(attempt: number) => void} [onConnection] Which attempt it is to resume a lost stream; 0 once it is open.
 * @property {AbortSignal} signal Ends the stream; without `background` the search as well.
 */

/**
 * @param {(message: string) => Promise<string|null>} askForKey Asked where a key is missing or wrong; null gives up.
 * @returns {Service}
 */
export function createService(askForKey) {
  let keeps = true; // whether this service runs searches that outlive their connection
  let estimates = true; // whether it says beforehand what a search will cost
  let asking = null; // one question at a time, whatever number of requests was refused

  const key = () => kept(KEY);
  const setKey = (value) => keep(KEY, value || null);

  async function request(path, { json, headers = {}, ...options } = {}) {
    for (;;) {
      const sent = { ...headers };
      const used = key();
      if (used) sent.Authorization = `Bearer ${used}`;
      if (json !== undefined) sent["Content-Type"] = "application/json";
      const body = json === undefined ? undefined : JSON.stringify(json);
      const response = await fetch(path.replace(/^\//, ""), { ...options, headers: sent, body }).catch(explainNetwork);
      if (response.status !== 401) {
        if (!response.ok) throw await errorOf(response);
        return response;
      }
      const refusal = await errorOf(response);
      if (key() !== used) continue; // somebody has given another meanwhile
      asking ??= askForKey(used ? "The service does not know this key." : "This service asks for an API key.").finally(
        () => (asking = null),
      );
      const given = await asking;
      if (!given) throw refusal;
      setKey(given);
    }
  }

  const about = async () => (await request("/page/about")).json();

  async function estimate(body, signal) {
    if (!estimates) return null;
    try {
      return await (await request("/solve/estimate", { method: "POST", json: body, signal })).json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      estimates = error.status !== 404 && error.status !== 405;
      return null; // the form may not be a request yet
    }
  }

  async function solve(body, reader) {
    const plainly = () => follow(() => begin({ ...body, stream: true }, reader.signal), reader, false);
    if (!keeps) return plainly();
    try {
      await follow(() => begin({ ...body, stream: true, background: true }, reader.signal), reader, true);
    } catch (error) {
      const cannot = error.status === 422 && error.param === "background";
      if (!cannot && !UNKEPT.includes(error.code)) throw error;
      keeps = !cannot;
      await plainly();
    }
  }

  const begin = (json, signal) => request("/solve", { method: "POST", json, signal });
  const attach = (id, reader) => follow(() => resume(id, 0, reader.signal), { ...reader, searchId: id }, true);
  const cancel = async (id) => void (await request(placeOf(id), { method: "DELETE" }));

  async function resume(id, after, signal) {
    const headers = after ? { "Last-Event-ID": String(after) } : {};
    return request(`${placeOf(id)}?stream=true`, { headers, signal });
  }

  /** Read a stream to its last event; one that breaks is resumed behind the last event that came. */
  async function follow(open, reader, canResume) {
    let last = 0;
    let end = null; // the event that was the last
    const onEvent = (message) => {
      last = Number(message.id) || last;
      if (message.event === "result" || message.event === "error") end = message;
      if (!isGone(message.data.error)) reader.onEvent(message);
    };
    let response = await open().catch((error) => (isGone(error) ? null : Promise.reject(error)));
    const id = reader.searchId ?? /^\/solve\/(.+)$/.exec(response?.headers.get("Location") ?? "")?.[1] ?? null;
    reader.onOpen?.(id);
    if (response === null) return settle(id, reader);
    let brokenAt = null;
    for (let attempt = 0; ; attempt += 1) {
      const before = last;
      try {
        response ??= await resume(id, last, reader.signal);
        reader.onConnection?.(0);
        await readEvents(response, onEvent);
      } catch (error) {
        if (isGone(error)) return settle(id, reader);
        if (error.name === "AbortError" || (error instanceof ServiceError && error.status)) throw error;
      }
      if (end) return isGone(end.data.error) ? settle(id, reader) : undefined;
      if (last > before) [attempt, brokenAt] = [0, null];
      brokenAt ??= Date.now();
      if (!canResume || id === null || Date.now() - brokenAt > RESUME_WITHIN_MS) throw lostStream(canResume);
      reader.onConnection?.(attempt + 1);
      await pause(Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS), reader.signal);
      response = null;
    }
  }

  /** Wait for the result of a search whose events are no longer kept. */
  async function settle(id, reader) {
    for (;;) {
      const { state, result, error } = await (await request(placeOf(id), { signal: reader.signal })).json();
      if (result) return reader.onEvent({ event: "result", data: result, id: null });
      if (error) return reader.onEvent({ event: "error", data: { error }, id: null });
      if (state === "cancelled") throw new ServiceError("The search was stopped.", { code: "stopped" });
      await pause(POLL_MS, reader.signal);
    }
  }

  return { key, setKey, request, about, estimate, solve, attach, cancel };
}

/** The path of a background search; "." and ".." would lead out of its folder, however they are written. */
function placeOf(id) {
  if (/^\.{1,2}$/.test(id)) throw new ServiceError(`There is no search ${id}.`, { status: 404 });
  return `/solve/${encodeURIComponent(id)}`;
}

/** Whether events are asked for that the service no longer keeps. */
function isGone(error) {
  return error?.code === "events_gone";
}

function lostStream(canResume) {
  const why = canResume
    ? "The connection was lost for more than a minute. The search may still run: open its link again later."
    : "The connection was lost, and the search ended with it. Nothing was wrong with the problem: run it again.";
  return new ServiceError(why, { code: "lost_stream" });
}

function explainNetwork(error) {
  if (error.name === "AbortError") throw error;
  throw new ServiceError("The service cannot be reached. Is it running, and is there a network?", { code: "unreachable" });
}

async function errorOf(response) {
  const retry = Number(response.headers.get("Retry-After"));
  const told = await response.json().catch(() => null);
  const error = told?.error ?? {};
  return new ServiceError(inWords(response.status, error), {
    status: response.status,
    code: error.code ?? null,
    param: error.param ?? null,
    retryAfter: Number.isFinite(retry) && retry > 0 ? retry : null,
  });
}

/**
 * @param {number} status
 * @param {{message?: string, code?: string|null}} error
 * @returns {string} What went wrong, for people.
 */
export function inWords(status, error) {
  if (error.code === "queue_full") return "The queue is full.";
  if (error.code === "deadline_in_queue") return "The deadline passed while the search waited in the queue.";
  if (error.code === "too_many_connections") return "The service has no connection to spare.";
  if (status === 401 || status === 403) return "The service needs an API key that it knows.";
  if (status === 404) return "The service does not keep this search (any longer).";
  if (status === 503) return "A model of the service does not answer.";
  if (status >= 500) return "The service failed. Its log has the details.";
  return error.message ?? `The service refused the request (${status}).`;
}

/** Read Server-Sent Events from a reply. */
async function readEvents(response, onEvent) {
  const feed = createParser(onEvent);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rested = performance.now();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    feed(value);
    if (performance.now() - rested > BUSY_MS) {
      await pause(0); // many events at once leave room for drawing
      rested = performance.now();
    }
  }
}

/**
 * @param {(message: {event: string, data: object, id: string|null}) => void} onEvent
 * @returns {(piece: string) => void} Takes a stream of Server-Sent Events piece by piece.
 */
export function createParser(onEvent) {
  let rest = "";
  let message = { event: "message", data: [], id: null };
  const take = (line) => {
    if (line === "") {
      if (message.data.length) onEvent({ ...message, data: JSON.parse(message.data.join("\n")) });
      message = { event: "message", data: [], id: null };
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment, which keeps the connection open
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") message.data.push(value);
    else if (field === "event") message.event = value;
    else if (field === "id") message.id = value;
  };
  return (piece) => {
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    lines.forEach(take);
  };
}

/** @returns {Promise<void>} Settles after a time; rejects when the signal is given. */
export function pause(ms, signal) {
  return new Promise((settle, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new DOMException("stopped", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      settle();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
