/**
 * The same problem, searched in two to four ways at once, at the same N or for the same tokens.
 *
 * For the same tokens the first search bounds the others: by what it is expected to spend where the service estimates
 * that, else by what it has spent.
 */

import { boundInWords, expectedTokens, fitBudget, guessBudget, spentTokens } from "./budgets.js";
import { createSearch } from "./search.js";
import { createStore } from "./store.js";
import { nameOf } from "./words.js";

export const MOST_WAYS = 4;
const DEFAULT_MOST = 1024;

/**
 * @typedef {{strategy: string, n: number}} Way
 *
 * @typedef {object} Wish
 * @property {string} problem
 * @property {Way[]} ways Two to four; the first is what the others are compared with.
 * @property {"n"|"tokens"|"own"} equal What is the same: N, tokens, or nothing.
 * @property {object} fields Of every request: seed, temperature and so on.
 * @property {number} width M of tree searches.
 *
 * @typedef {object} ComparisonState
 * @property {"idle"|"fitting"|"running"|"done"} phase
 * @property {{way: Way, search: import("./search.js").Search, tokens?: number}[]} columns tokens: expected.
 * @property {string} words What bounds whom.
 * @property {Error|null} error
 */

/** @param {import("./api.js").Service} service */
export function createComparison(service) {
  const store = createStore({ phase: "idle", columns: [], words: "", error: null });
  let current = new AbortController();

  /**
   * @param {Wish} wish
   * @param {object} about
   */
  async function start(wish, about) {
    await stop();
    const { signal } = (current = new AbortController());
    const asking = asker(wish, about);
    const columns = wish.ways.map((way) => ({ way, search: createSearch(service) }));
    const run = (some) => Promise.all(some.map(({ way, search }) => search.start(asking.requestOf(way))));
    const tell = (change) => signal.aborted || store.set(change);
    tell({ phase: "fitting", columns: [], words: "", error: null });
    try {
      const bound = wish.equal === "tokens" ? await bounded(columns, asking, signal) : null;
      if (bound?.basis === "spent") {
        const [first, ...others] = columns;
        tell({ phase: "running", columns: [first], words: "The first search bounds the others by what it spends." });
        await run([first]);
        const usage = first.search.state().story?.usage;
        if (!usage || signal.aborted) return tell({ phase: "done" });
        guess(columns, usage, asking, bound);
        tell({ columns, words: boundInWords(bound, columns) });
        await run(others);
      } else {
        tell({ phase: "running", columns, words: bound ? boundInWords(bound, columns) : "" });
        if (!signal.aborted) await run(columns);
      }
      tell({ phase: "done" });
    } catch (error) {
      tell({ phase: "done", error });
    }
  }

  /** Fit the budgets of all but the first by estimates; where there are none, the first has to run. */
  async function bounded([first, ...others], { requestOf, limitsOf }, signal) {
    const tokensAt = (way) => async (n) => expectedTokens(await service.estimate(requestOf({ ...way, n }), signal));
    const tokens = await tokensAt(first.way)(first.way.n);
    if (tokens === null) return { basis: "spent", tokens };
    for (const column of others) {
      const fitted = await fitBudget(tokensAt(column.way), { bound: tokens, ...limitsOf(column.way) });
      if (fitted === null) return { basis: "spent", tokens: null };
      take(column, fitted);
    }
    return { basis: "estimate", tokens };
  }

  function guess([first, ...others], usage, { limitsOf }, bound) {
    bound.tokens = spentTokens(usage);
    for (const column of others) {
      take(column, guessBudget({ usage, n: first.way.n }, { bound: bound.tokens, ...limitsOf(column.way) }));
    }
  }

  function take(column, { n, tokens }) {
    column.way = { ...column.way, n };
    column.tokens = tokens;
  }

  async function stop() {
    current.abort();
    const { columns, phase } = store.state();
    if (phase === "fitting" || phase === "running") store.set({ phase: "done" });
    await Promise.all(columns.map(({ search }) => search.stop()));
  }

  return { state: store.state, subscribe: store.subscribe, start, stop };
}

/** @returns {string} Such as beam search, N = 16. */
export function wayInWords({ strategy, n }) {
  return `${nameOf(strategy)}, N = ${n}`;
}

/** How the ways of a comparison are asked for, and within which limits; M is N where N is smaller. */
function asker({ problem, fields, width }, about) {
  const read = new Map(
    about.strategies.map(({ name, fields: own }) => [name, own.map((field) => field.name ?? field)]),
  );
  const reads = (strategy, field) => read.get(strategy)?.includes(field) ?? false;
  return {
    requestOf({ strategy, n }) {
      const own = reads(strategy, "beam_width") ? { beam_width: Math.min(width, n) } : {};
      return { problem, strategy, n, ...fields, ...own };
    },
    limitsOf: ({ strategy }) => ({
      multiple: reads(strategy, "beam_width") ? width : 1,
      judges: reads(strategy, "aggregation") || reads(strategy, "target_confidence"),
      most: about.limits?.n ?? DEFAULT_MOST,
    }),
  };
}
