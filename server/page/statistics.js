/**
 * Means with intervals, as `winnow eval` computes them: the same numbers from the same outcomes.
 *
 * Source: search/evaluation/bootstrap.py, pass_at_k.py and calibration_error.py, which this follows draw by draw. Their
 * resamples come from Python's random.Random(0), a Mersenne Twister (Matsumoto and Nishimura 1998, mt19937ar.c).
 */

export const RESAMPLES = 2000;
const TAIL = 0.95;
const NUM_BINS = 10;
const MAX_KEPT_DRAWS = 1 << 24; // 64 MiB

/**
 * Return the mean and the 95 % percentile interval over resampled values, of which there is at least one; their order
 * does not matter.
 */
export function bootstrap(given) {
  const values = Float64Array.from(given).sort();
  const places = drawnPlaces(values.length);
  const means = new Float64Array(RESAMPLES);
  for (let resample = 0; resample < RESAMPLES; resample++) {
    means[resample] = sumOf(values, places(resample)) / values.length;
  }
  return interval(mean(values), means);
}

/** Return the sum of the first of each pair over that of the second, and its interval likewise. */
export function bootstrapRatio(pairs) {
  const ordered = [...pairs].sort(([a, b], [c, d]) => a - c || b - d);
  const [values, others] = [0, 1].map((place) => Float64Array.from(ordered, (pair) => pair[place]));
  const places = drawnPlaces(values.length);
  const ratios = new Float64Array(RESAMPLES);
  for (let resample = 0; resample < RESAMPLES; resample++) {
    const drawn = places(resample);
    ratios[resample] = sumOf(values, drawn) / sumOf(others, drawn);
  }
  return interval(sum(values) / sum(others), ratios);
}

/** The unbiased share of choices of k among n responses, c of them right, that hold a right one (Chen et al. 2021). */
export function passAtK(n, c, k) {
  let missed = 1;
  for (let i = n - c + 1; i <= n; i++) missed *= Math.max(1 - k / i, 0);
  return 1 - missed;
}

/** The mean distance, over ten bins, of the probability told from the share that came true (Guo et al. 2017). */
export function calibrationError(predictions) {
  const gaps = new Float64Array(NUM_BINS);
  for (const [probability, cameTrue] of predictions) {
    gaps[Math.min(Math.floor(probability * NUM_BINS), NUM_BINS - 1)] += probability - (cameTrue ? 1 : 0);
  }
  return sum(gaps.map(Math.abs)) / predictions.length;
}

export function mean(values) {
  return sum(values) / values.length;
}

/** What 95 % of the values do not exceed; null without any. */
export function tail(values) {
  const ordered = Float64Array.from(values).sort();
  return ordered.length ? ordered[Math.min(Math.floor(TAIL * ordered.length), ordered.length - 1)] : null;
}

/** The sum, rounded once: Neumaier's compensated summation. */
export function sum(values) {
  let total = 0;
  let lost = 0;
  for (const value of values) {
    const next = total + value;
    lost += Math.abs(total) >= Math.abs(value) ? total - next + value : value - next + total;
    total = next;
  }
  return total + lost;
}

function sumOf(values, places) {
  let total = 0;
  let lost = 0;
  for (let i = 0; i < places.length; i++) {
    const value = values[places[i]];
    const next = total + value;
    lost += Math.abs(total) >= Math.abs(value) ? total - next + value : value - next + total;
    total = next;
  }
  return total + lost;
}

function interval(middle, resampled) {
  const ordered = resampled.sort();
  const cut = Math.round((RESAMPLES * 0.05) / 2);
  return { mean: middle, low: ordered[cut], high: ordered[RESAMPLES - 1 - cut] };
}

/** The places that each resample of a number of values draws: the same for all values, since the seed is. */
const kept = new Map(); // by that number
let numKept = 0;

function drawnPlaces(length) {
  const size = RESAMPLES * length;
  if (size > MAX_KEPT_DRAWS) {
    const draw = pythonRandom(0);
    const row = new Uint32Array(length);
    return () => fill(row, length, draw); // resamples are asked for in order
  }
  if (!kept.has(length)) {
    if (numKept + size > MAX_KEPT_DRAWS) kept.clear();
    numKept = kept.size ? numKept + size : size;
    kept.set(length, fill(new Uint32Array(size), length, pythonRandom(0)));
  }
  const places = kept.get(length);
  return (resample) => places.subarray(resample * length, (resample + 1) * length);
}

function fill(places, length, draw) {
  for (let i = 0; i < places.length; i++) places[i] = Math.floor(draw() * length);
  return places;
}

/** Return Python's random.Random(seed).random, for a seed below 2 ** 32. */
export function pythonRandom(seed) {
  const state = new Uint32Array(624);
  state[0] = 19650218;
  for (let i = 1; i < 624; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  let place = 1;
  const advance = () => {
    if (++place === 624) {
      state[0] = state[623];
      place = 1;
    }
  };
  const mixed = (factor) => state[place] ^ Math.imul(state[place - 1] ^ (state[place - 1] >>> 30), factor);
  for (let i = 0; i < 624; i++, advance()) state[place] = mixed(1664525) + seed;
  for (let i = 0; i < 623; i++, advance()) state[place] = mixed(1566083941) - place;
  state[0] = 0x80000000;
  let next = 624;

  function word() {
    if (next === 624) {
      next = 0;
      for (let i = 0; i < 624; i++) {
        const bits = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
        state[i] = state[(i + 397) % 624] ^ (bits >>> 1) ^ (bits & 1 ? 0x9908b0df : 0);
      }
    }
    let value = state[next++];
    value ^= value >>> 11;
    value ^= (value << 7) & 0x9d2c5680;
    value ^= (value << 15) & 0xefc60000;
    return (value ^ (value >>> 18)) >>> 0;
  }

  return () => ((word() >>> 5) * 67108864 + (word() >>> 6)) / 9007199254740992;
}

/** Write a number with so many decimals, and a tie to the even digit, as Python's formats do. */
export function fixed(value, decimals) {
  const doubled = value * 2 ** (decimals + 1);
  const isTie = Number.isInteger(doubled) && doubled % 2 !== 0;
  if (!isTie) return value.toFixed(decimals);
  const lower = Math.floor(value * 10 ** decimals); // exact: a tie has few bits
  return ((lower % 2 === 0 ? lower : lower + 1) / 10 ** decimals).toFixed(decimals);
}

/** @returns {string} 64.2 (60.1 to 68.3); nothing where nothing was measured. */
export function written(interval, sign = "") {
  if (!interval) return "";
  const mean = `${sign && interval.mean >= 0 ? sign : ""}${fixed(interval.mean, 1)}`;
  return `${mean} (${fixed(interval.low, 1)} to ${fixed(interval.high, 1)})`;
}
