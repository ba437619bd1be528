/**
 * Text with TeX in it, as nodes: formulas become MathML by temml, everything else stays text.
 *
 * A formula is bounded in its length, its nesting and its macros; what is beyond the bounds, or wrong, is shown as it was
 * written. temml is loaded when the first formula is seen.
 */

import { pieces } from "./text.js";

const MAX_FORMULA = 1_000;
const MAX_NESTING = 40;
const MAX_FORMULAS = 200;
const MAX_TEXT = 20_000;
const OPTIONS = { throwOnError: true, trust: false, strict: false, maxExpand: 100, maxSize: [20, 20], annotate: false };

/** What defines macros, reaches out of the line, or changes what follows. */
const REFUSED =
  /\\(?:[gex]?def|(?:future)?let|(?:re)?newcommand|providecommand|global|long|expandafter|csname|require|href|url|include\w*|html\w*|class|style|id|cssId|unicode|kern|mkern|hskip|mskip|[hm]?space\*?|rule|raisebox|llap|rlap|[lrc]lap|math[lrc]lap|smash|phantom|[hv]phantom|tag|label|ref|eqref)(?![a-zA-Z])/;

const FORMULA =
  /\$\$([^]{1,1000}?)\$\$|\\\[([^]{1,1000}?)\\\]|\\\(([^]{1,1000}?)\\\)|(?<![\\$\w])\$(?![\s$])([^$\n]{1,1000}?)(?<![\s\\])\$(?![\w$])|(\\boxed\{(?:[^{}\n]|\{[^{}\n]*\}){1,200}\})/g;

let loading = null;

/** @returns {Promise<object>} temml. */
function load() {
  loading ??= import("./vendor/temml.js").then((module) => module.default);
  return loading;
}

/**
 * @param {string} text
 * @returns {{text: string, formula: boolean, display: boolean}[]} The text in order, formulas without their marks.
 */
export function parse(text) {
  const found = [];
  let from = 0;
  if (text.length <= MAX_TEXT) {
    for (const match of text.matchAll(FORMULA)) {
      if (found.length > 2 * MAX_FORMULAS) break;
      const source = match[1] ?? match[2] ?? match[3] ?? match[4] ?? match[5];
      if (!isTame(source)) continue;
      if (match.index > from) found.push({ text: text.slice(from, match.index), formula: false, display: false });
      found.push({ text: source, formula: true, display: match[1] != null || match[2] != null, written: match[0] });
      from = match.index + match[0].length;
    }
  }
  if (from < text.length) found.push({ text: text.slice(from), formula: false, display: false });
  return found;
}

/** @returns {boolean} Whether a formula is within the bounds. */
export function isTame(source) {
  if (source.length > MAX_FORMULA || REFUSED.test(source)) return false;
  if (pieces(source).some((piece) => piece.isMark)) return false;
  let depth = 0;
  for (const character of source) {
    if (character === "{") depth += 1;
    else if (character === "}") depth -= 1;
    if (depth > MAX_NESTING) return false;
  }
  return (source.match(/\\left(?![a-z])|\\begin(?![a-z])|\\sqrt(?![a-z])|[\^_]/g) ?? []).length <= 60;
}

/**
 * Draw a formula into an element, or write it there as text where it cannot be drawn.
 *
 * @param {HTMLElement} element
 * @param {{text: string, display: boolean, written?: string}} formula
 */
export async function draw(element, formula) {
  const written = formula.written ?? formula.text;
  try {
    const temml = await load();
    const drawn = document.createElement("span");
    temml.render(formula.text, drawn, { ...OPTIONS, displayMode: formula.display });
    element.replaceChildren(...drawn.childNodes);
  } catch {
    element.replaceChildren(document.createTextNode(written)); // not TeX after all
  }
}
