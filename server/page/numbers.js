/** Numbers as people read them. */

const COUNT = new Intl.NumberFormat("en");
const HUGE = 1e15; // from here on digits say nothing: only a file of anybody holds such numbers

function isHuge(value) {
  return Math.abs(value) >= HUGE;
}

/** @returns {string} 12,345; a dash for what is not known. */
export function count(value) {
  if (value == null) return "\u2013";
  return isHuge(value) ? value.toExponential(1) : COUNT.format(Math.round(value));
}

/** @returns {string} 0.97; a dash for what is not known. */
export function score(value) {
  if (value == null) return "\u2013";
  return isHuge(value) ? value.toExponential(1) : value.toFixed(2);
}

/** @returns {string} 97 %. */
export function percent(value) {
  if (value == null) return "\u2013";
  return isHuge(value) ? value.toExponential(1) : `${Math.round(value * 100)}\u202f%`;
}

/** @returns {string} 0.8 s, 12 s, 3 min 20 s. */
export function seconds(value) {
  if (value == null) return "\u2013";
  if (value < 10) return `${value.toFixed(1)}\u202fs`;
  if (value < 120) return `${Math.round(value)}\u202fs`;
  if (isHuge(value)) return `${value.toExponential(1)}\u202fs`;
  const whole = Math.round(value);
  return `${Math.floor(whole / 60)}\u202fmin ${whole % 60}\u202fs`;
}

/** @returns {string} 1 candidate, 3 candidates. */
export function many(number, noun, plural = `${noun}s`) {
  return `${count(number)} ${number === 1 ? noun : plural}`;
}

/** @returns {string} 1st, 2nd, 11th. */
export function ordinal(number) {
  const ending = { one: "st", two: "nd", few: "rd", other: "th" };
  return `${number}${ending[new Intl.PluralRules("en", { type: "ordinal" }).select(number)]}`;
}
