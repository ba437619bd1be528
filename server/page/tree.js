/**
 * A story's tree: on a canvas for those who see it, as an outline for those who read or hear it.
 *
 * @typedef {{node: string, place: number}} Selected A step, by its candidate and its place there.
 */

import { TreeCanvas } from "./canvas.js";
import { SHADES, colourOf } from "./colours.js";
import { keyOf } from "./layout.js";
import { score } from "./numbers.js";
import { Outline } from "./outline.js";
import { Icon, html } from "./parts.js";
import { chosenOf } from "./story.js";
import { short } from "./text.js";
import { useEffect, useMemo, useRef, useState } from "./vendor/preact.js";
import { stateInWords } from "./words.js";

const STEP_BY = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down", Home: "home", End: "end" };
const PAN_STEP = 60;

/**
 * @param {object} props
 * @param {import("./story.js").Story} props.story
 * @param {Selected|null} props.selected
 * @param {(selected: Selected|null) => void} props.onSelect
 * @param {boolean} [props.isSmall] Without search, outline and legend: for several trees side by side.
 * @param {string} [props.label] What the tree is of, for those who hear it.
 */
export function Tree({ story, selected, onSelect, isSmall = false, label = "Search tree" }) {
  const [form, setForm] = useState("tree");
  const [query, setQuery] = useState("");
  const found = useMemo(() => findSteps(story, query), [story, query]);
  const drawing = useRef(null);
  const look = (key) => onSelect(selectionOf(key));
  const next = (by) => {
    if (!found.length) return;
    const at = found.indexOf(selected ? keyOf(selected.node, selected.place) : "");
    const key = found[(at + by + found.length + (at < 0 && by < 0 ? 1 : 0)) % found.length];
    look(key);
    drawing.current?.reveal(key);
  };
  useEffect(() => drawing.current?.mark(found), [found, form]);
  const at = selected ? found.indexOf(keyOf(selected.node, selected.place)) + 1 : 0;
  const onKey = (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    next(event.shiftKey ? -1 : 1);
  };
  return html`<section class="tree" aria-label=${label}>
    ${!isSmall &&
    html`<div class="toolbar">
      <div class="switch" role="group" aria-label="Form">
        ${["tree", "outline"].map(
          (name) => html`<button class="quiet" aria-pressed=${String(form === name)} onClick=${() => setForm(name)}>
            ${name === "tree" ? "Tree" : "Outline"}
          </button>`,
        )}
      </div>
      <${Legend} />
      <input
        type="search"
        placeholder="Find in steps"
        aria-label="Find in steps"
        value=${query}
        onInput=${(event) => setQuery(event.target.value)}
        onKeyDown=${onKey}
      />
      <span class="small matches" role="status">${query.trim() && `${at ? `${at} of ` : ""}${found.length} found`}</span>
      ${query.trim() &&
      html`<button class="quiet" title="Previous (Shift+Enter)" onClick=${() => next(-1)}>
          <${Icon} name="previous" /><span class="hidden">Previous match</span>
        </button>
        <button class="quiet" title="Next (Enter)" onClick=${() => next(1)}>
          <${Icon} name="next" /><span class="hidden">Next match</span>
        </button>`}
      ${form === "tree" && html`<${ZoomButtons} drawing=${drawing} />`}
    </div>`}
    ${form === "tree"
      ? html`<${Drawing} story=${story} selected=${selected} onSelect=${look} handle=${drawing} label=${label} />`
      : html`<${Outline} story=${story} selected=${selected} onSelect=${onSelect} />`}
  </section>`;
}

/** @returns {Selected|null} */
function selectionOf(key) {
  if (!key) return null;
  const slash = key.lastIndexOf("/");
  return { node: key.slice(0, slash), place: Number(key.slice(slash + 1)) };
}

/** @returns {string[]} Keys of the steps that hold a text, in the order in which they were drawn. */
function findSteps(story, query) {
  const wanted = query.trim().toLowerCase();
  if (!wanted) return [];
  return [...story.nodes.values()].flatMap((node) =>
    node.steps.flatMap((step, place) => (step.text.toLowerCase().includes(wanted) ? [keyOf(node.id, place)] : [])),
  );
}

function Legend() {
  return html`<span class="legend" title="The colour of a step is its score; the width of a line its tokens">
    <span>score 0</span>
    <svg class="scale" viewBox=${`0 0 ${SHADES} 1`} preserveAspectRatio="none" aria-hidden="true">
      ${Array.from({ length: SHADES }, (_, shade) => html`<rect x=${shade} width="1.05" height="1" fill=${colourOf(shade)} />`)}
    </svg>
    <span>1</span>
  </span>`;
}

function ZoomButtons({ drawing }) {
  const buttons = [
    ["minus", "Zoom out (-)", () => drawing.current.zoom(1 / 1.4)],
    ["plus", "Zoom in (+)", () => drawing.current.zoom(1.4)],
    ["fit", "Fit, and follow as it grows (0)", () => drawing.current.fit()],
  ];
  return html`<span class="zoom">
    ${buttons.map(
      ([icon, title, act]) =>
        html`<button class="quiet" title=${title} onClick=${act}>
          <${Icon} name=${icon} /><span class="hidden">${title}</span>
        </button>`,
    )}
  </span>`;
}

/** The canvas, and what mouse, fingers and keys do on it. */
function Drawing({ story, selected, onSelect, handle, label }) {
  const canvas = useRef(null);
  const tip = useRef(null);
  const drawn = useRef(null);
  const latest = useRef(null);
  latest.current = { story, onSelect };
  useEffect(() => {
    const less = matchMedia("(prefers-reduced-motion: reduce)");
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const tree = new TreeCanvas(canvas.current, () => less.matches);
    drawn.current = tree;
    handle.current = handleOf(tree);
    canvas.current.tree = tree; // for tests, which cannot see into a canvas
    const restyle = () => tree.restyle();
    const resizes = new ResizeObserver(() => tree.resize());
    resizes.observe(canvas.current);
    dark.addEventListener("change", restyle);
    addEventListener("themechange", restyle);
    const detach = listen(canvas.current, tree, tip.current, (key) => latest.current.onSelect(key));
    tree.show(latest.current.story);
    return () => {
      detach();
      resizes.disconnect();
      dark.removeEventListener("change", restyle);
      removeEventListener("themechange", restyle);
      tree.destroy();
      handle.current = null;
    };
  }, []);
  useEffect(() => drawn.current.show(story), [story]);
  useEffect(() => {
    drawn.current.selected = selected ? keyOf(selected.node, selected.place) : null;
    drawn.current.ask();
  }, [selected]);
  const onKeyDown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const tree = drawn.current;
    if (STEP_BY[event.key]) {
      const key = neighbour(tree, STEP_BY[event.key]);
      if (key) {
        onSelect(key);
        tree.reveal(key);
      }
    } else if (event.key === "+" || event.key === "=") tree.zoom(1.4, undefined, undefined, true);
    else if (event.key === "-") tree.zoom(1 / 1.4, undefined, undefined, true);
    else if (event.key === "0") tree.fit();
    else if (event.key === "Escape") onSelect(null);
    else return;
    event.preventDefault();
  };
  return html`<div class="drawing">
    <canvas
      ref=${canvas}
      tabindex="0"
      role="application"
      aria-label=${`${label}. Arrow keys walk from step to step, plus and minus zoom, 0 fits. The outline holds the same as text.`}
      onKeyDown=${onKeyDown}
    ></canvas>
    <div class="tip said" dir="auto" ref=${tip} hidden></div>
    <div class="hidden" role="status">${selected && spoken(story, selected)}</div>
  </div>`;
}

function handleOf(tree) {
  return {
    zoom: (factor) => tree.zoom(factor, undefined, undefined, true),
    fit: () => tree.fit(),
    reveal: (key) => tree.reveal(key),
    mark(keys) {
      tree.found = new Set(keys);
      tree.ask();
    },
  };
}

/** Drag to pan, wheel or two fingers to zoom, click to select. */
function listen(canvas, tree, tip, onSelect) {
  const pointers = new Map();
  let hasMoved = false;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const onDown = (event) => {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, place(event));
    hasMoved = pointers.size > 1;
    canvas.setPointerCapture(event.pointerId);
  };
  const onMove = (event) => {
    const now = place(event);
    const before = pointers.get(event.pointerId);
    if (!before) return hover(now);
    const [dx, dy] = [now.x - before.x, now.y - before.y];
    if (!hasMoved && Math.hypot(dx, dy) < 4) return undefined;
    hasMoved = true;
    if (pointers.size === 1) tree.pan(dx, dy);
    else pinch(event.pointerId, before, now);
    pointers.set(event.pointerId, now);
    return hide();
  };
  const pinch = (id, before, now) => {
    const other = [...pointers].find(([each]) => each !== id)[1];
    const distance = (point) => Math.max(1, Math.hypot(point.x - other.x, point.y - other.y));
    tree.zoom(distance(now) / distance(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
  };
  const onUp = (event) => {
    if (!pointers.delete(event.pointerId) || hasMoved) return;
    const { x, y } = place(event);
    onSelect(tree.cellAt(x, y)?.key || null);
  };
  const onCancel = (event) => pointers.delete(event.pointerId);
  const onWheel = (event) => {
    if (!(event.ctrlKey || event.metaKey || document.activeElement === canvas)) return; // the page scrolls
    event.preventDefault();
    const { x, y } = place(event);
    tree.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), x, y);
  };
  const hover = ({ x, y }) => {
    const cell = tree.cellAt(x, y);
    const key = cell?.key || null;
    if (key === tree.hovered) return;
    tree.hovered = key;
    canvas.style.cursor = key ? "pointer" : "grab";
    tree.ask();
    if (key) show(cell, x, y);
    else hide();
  };
  const show = (cell, x, y) => {
    tip.textContent = `${score(cell.step?.score ?? cell.node.score)}  ${short(cell.step?.text ?? "", 160)}`;
    tip.hidden = false;
    tip.style.left = `${Math.min(x + 14, Math.max(0, tree.width - tip.offsetWidth - 8))}px`;
    tip.style.top = `${y + 18 + tip.offsetHeight > tree.height ? y - tip.offsetHeight - 12 : y + 18}px`;
  };
  const hide = () => {
    tip.hidden = true;
    if (tree.hovered === null) return;
    tree.hovered = null;
    tree.ask();
  };
  const events = {
    pointerdown: onDown,
    pointermove: onMove,
    pointerup: onUp,
    pointercancel: onCancel,
    pointerleave: hide,
    wheel: onWheel,
  };
  for (const [name, listener] of Object.entries(events)) canvas.addEventListener(name, listener, { passive: false });
  return () => {
    for (const [name, listener] of Object.entries(events)) canvas.removeEventListener(name, listener);
  };
}

/** @returns {string|null} Where an arrow key leads from the step that is selected. */
function neighbour(tree, direction) {
  if (!tree.laid) return null;
  const { cells, columns } = tree.laid;
  const cell = cells.get(tree.selected) ?? null;
  const chosen = chosenOf(tree.story);
  if (direction === "end") return lastOf(cells, tree.story, chosen) ?? columns.at(-1)[0]?.key ?? null;
  if (!cell || direction === "home") return columns[1]?.find((each) => each.isChosen)?.key ?? columns[1]?.[0]?.key ?? null;
  if (direction === "left") return cell.parent?.key || null;
  if (direction === "right") return best(cell.children)?.key ?? null;
  const column = columns[cell.depth];
  return column[column.indexOf(cell) + (direction === "up" ? -1 : 1)]?.key ?? null;
}

function lastOf(cells, story, id) {
  const node = story.nodes.get(id);
  return node && cells.get(keyOf(id, Math.max(0, node.steps.length - 1)))?.key;
}

function best(children) {
  const chosen = children.find((child) => child.isChosen);
  if (chosen) return chosen;
  return [...children].sort((one, other) => (other.step?.score ?? -1) - (one.step?.score ?? -1))[0];
}

/** A step as it is announced. */
function spoken(story, { node: id, place }) {
  const node = story.nodes.get(id);
  if (!node) return "";
  const step = node.steps[place];
  const value = step?.score ?? node.score;
  const judged = value === null ? "not judged" : `score ${score(value)}`;
  return `Candidate ${id}, step ${(step?.index ?? 0) + 1}, ${judged}, ${stateInWords(node.state)}: ${short(step?.text ?? "", 200)}`;
}
