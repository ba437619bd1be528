/** How many candidates a search may have so that it spends about as many tokens as another. */

import { count, many } from "./numbers.js";
import { nameOf } from "./words.js";

/** @returns {number|null} The tokens, generated and judged, that an estimate of `POST /solve/estimate` expects. */
export function expectedTokens(estimate) {
  const [generated, judged] = [estimate?.completion_tokens?.expected, estimate?.verifier_tokens?.expected];
  return Number.isFinite(generated) ? generated + (Number.isFinite(judged) ? judged : 0) : null;
}

/** @returns {number} The tokens, generated and judged, of a bill; what was read from a cache is not computed again. */
export function spentTokens(usage) {
  return (usage.completion_tokens ?? 0) + (usage.verifier_tokens ?? 0);
}

/**
 * Find the largest budget whose expected tokens stay within a bound; where even the smallest does not, that one.
 *
 * @param {(n: number) => Promise<number|null>} tokensAt Expected tokens, growing with N; null where nobody can say.
 * @param {{bound: number, multiple: number, most: number}} limits N is a multiple of `multiple` (M), at most `most`.
 * @returns {Promise<{n: number, tokens: number}|null>} Null where nobody can say.
 */
export async function fitBudget(tokensAt, { bound, multiple, most }) {
  let low = 1; // in multiples
  let tokens = await tokensAt(multiple);
  if (tokens === null) return null;
  let high = Math.max(Math.floor(most / multiple), 1) + 1;
  if (tokens > bound) high = 2;
  for (let step = 2; high - low > 1;) {
    const middle = step && low * step < high ? low * step : Math.floor((low + high) / 2);
    const found = await tokensAt(middle * multiple);
    if (found === null) return null;
    if (found <= bound) [low, tokens] = [middle, found];
    else [high, step] = [middle, 0];
  }
  return { n: low * multiple, tokens };
}

/**
 * The budget where nobody can say what a search will spend: a candidate is taken to generate as many tokens as one of
 * the first search, and to be judged once where its strategy judges.
 *
 * @param {{usage: object, n: number}} first The bill of the first search, and its N.
 * @param {{bound: number, multiple: number, most: number, judges: boolean}} limits
 * @returns {{n: number, tokens: number}}
 */
export function guessBudget({ usage, n }, { bound, multiple, most, judges }) {
  const each = Math.max(usage.completion_tokens / n, 1) * (judges ? 2 : 1);
  const fitting = Math.min(Math.floor(bound / each), most);
  const found = Math.max(fitting - (fitting % multiple), multiple);
  return { n: found, tokens: found * each };
}

/**
 * @param {{basis: "estimate"|"spent", tokens: number}} bound
 * @param {{way: {strategy: string, n: number}, tokens?: number}[]} columns The first is the one that bounds the others.
 * @returns {string} What bounds whom, in words.
 */
export function boundInWords({ basis, tokens }, [{ way }, ...others]) {
  const isEstimated = basis === "estimate";
  const spends = isEstimated ? "is expected to spend" : "spent";
  const first = `${nameOf(way.strategy)} with ${many(way.n, "candidate")} ${spends} ${count(tokens)} tokens`;
  const fitted = others.map((other) => {
    const over = other.tokens > tokens ? ", more than that: it cannot have fewer" : "";
    const gets = `${nameOf(other.way.strategy)} gets ${many(other.way.n, "candidate")}`;
    return `${gets}, which should spend ${count(other.tokens)}${over}`;
  });
  const how = isEstimated
    ? "By the service's estimate"
    : "There is no estimate; a candidate is taken to be as long as there, and judged where its strategy judges";
  return `Equal tokens, generated and judged: ${first}. ${how}: ${fitted.join("; ")}.`;
}
