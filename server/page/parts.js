/**
 * Small components and hooks that the views share.
 *
 * What a model or a user has written goes through `Said`, `Prose` or `Formula`: text nodes only.
 */

import { html, useEffect, useLayoutEffect, useReducer, useRef, useState } from "./vendor/preact.js";
import { colourOf, isDark, shadeOf } from "./colours.js";
import { draw, parse } from "./formulas.js";
import { keep as keepInTab, kept } from "./kept.js";
import { score as shown } from "./numbers.js";
import { pieces } from "./text.js";

export { html };

/**
 * Draws again when a search tells something new.
 *
 * @param {import("./search.js").Search} search
 * @returns {import("./search.js").SearchState}
 */
export function useSearch(search) {
  const [, redraw] = useReducer((count) => count + 1, 0);
  useEffect(() => search.subscribe(redraw), [search]);
  return search.state();
}

/** @returns {number} Date.now(), again and again while it is wanted. */
export function useNow(isWanted, everyMs = 250) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!isWanted) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [isWanted, everyMs]);
  return now;
}

/** @returns {[any, (value: any) => void]} A state that this tab keeps over a reload. */
export function useKept(name, initial) {
  const [value, setValue] = useState(() => {
    try {
      return JSON.parse(kept(name)) ?? initial;
    } catch {
      return initial;
    }
  });
  const keep = (next) => {
    setValue(next);
    keepInTab(name, JSON.stringify(next));
  };
  return [value, keep];
}

/** Text of others, isolated, with what cannot be seen shown by its number. */
export function Said({ text, tag = "span", ...rest }) {
  return html`<${tag} class="said" dir="auto" ...${rest}>${marked(text)}<//>`;
}

function marked(text) {
  return pieces(text).map((piece) =>
    piece.isMark ? html`<span class="mark" title="A character that cannot be seen">${piece.text}</span>` : piece.text,
  );
}

/** A formula; until temml is there, and where it refuses, the text as it was written. */
export function Formula({ formula }) {
  const element = useRef(null);
  const { text, display, written } = formula;
  useLayoutEffect(() => {
    element.current.textContent = written;
    draw(element.current, { text, display, written });
  }, [text, display, written]);
  return html`<span class=${display ? "formula display" : "formula"} ref=${element}></span>`;
}

/** A model's text: paragraphs, headings, formulas; nothing else of it is anything but text. */
export function Prose({ text }) {
  const blocks = text.split(/\n{2,}/).filter((block) => block.trim() !== "");
  return html`<div class="prose said" dir="auto">${blocks.map((block) => html`<${Block} text=${block} />`)}</div>`;
}

function Block({ text }) {
  const [first, ...others] = text.split("\n");
  const heading = /^#{1,6} (.*)$/.exec(first);
  if (!heading) return html`<p>${withFormulas(text)}</p>`;
  const rest = others.join("\n");
  return html`<p class="heading">${withFormulas(heading[1])}</p>
    ${rest.trim() && html`<p>${withFormulas(rest)}</p>`}`;
}

function withFormulas(text) {
  return parse(text).map((part) => (part.formula ? html`<${Formula} formula=${part} />` : marked(part.text)));
}

/** An answer: a formula where it looks like one. */
export function Answer({ text }) {
  if (text == null) return html`<span class="answer none">no answer</span>`;
  const isTex = /[\\^_]/.test(text) && text.length < 200;
  if (!isTex) return html`<${Said} text=${text} class="answer said" />`;
  const [part] = parse(`\\(${text}\\)`);
  return html`<span class="answer said" dir="auto">
    ${part?.formula ? html`<${Formula} formula=${{ ...part, written: text }} />` : marked(text)}
  </span>`;
}

/** A score as a number on its colour. */
export function Score({ value, title }) {
  const shade = shadeOf(value);
  const style = shade < 0 ? {} : { background: colourOf(shade), color: isDark(shade) ? "#fff" : "#000" };
  return html`<span class=${shade < 0 ? "score none" : "score"} style=${style} title=${title}>${shown(value)}</span>`;
}

/** A list of names and values. Values may be nodes; what is null is left out. */
export function Facts({ facts }) {
  const known = facts.filter(([, value]) => value != null && value !== "");
  return html`<dl class="facts">
    ${known.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

/** What went wrong, in words, and what can be done about it. */
export function Notice({ kind = "error", children }) {
  return html`<div class=${`notice ${kind}`} role=${kind === "error" ? "alert" : "status"}>${children}</div>`;
}

/** A labelled control. */
export function Field({ label, hint, children }) {
  return html`<label class="field" title=${hint}><span class="label">${label}</span>${children}</label>`;
}

/** A symbol of the page's own set. */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${ICONS[name]} /></svg>`;
}

const ICONS = {
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  light: "M8 5a3 3 0 1 1 0 6a3 3 0 0 1 0-6M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1",
  dark: "M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z",
  auto: "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12",
  key: "M9.5 6.5a3 3 0 1 0-2.2 2.9L9 11h1.5v1.5H12V14h2v-2.2L9.4 7.3",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  next: "M3.5 6l4.5 4.5L12.5 6",
  previous: "M3.5 10L8 5.5l4.5 4.5",
};
