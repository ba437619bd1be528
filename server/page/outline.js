/** The tree as text: a list that unfolds, for screen readers, for small screens, and for copying. */

import { score } from "./numbers.js";
import { Prose, Said, Score, html } from "./parts.js";
import { ROOT, childrenOf, chosenOf, pathTo } from "./story.js";
import { useMemo, useRef, useState } from "./vendor/preact.js";
import { stateInWords } from "./words.js";

const SHOWN_AT_ONCE = 64;

/** @param {{story: object, selected: object|null, onSelect: (selected: object) => void}} props */
export function Outline({ story, selected, onSelect }) {
  const chosen = chosenOf(story);
  const way = useMemo(() => new Set(chosen === null ? [] : pathTo(story, chosen).map((node) => node.id)), [story, chosen]);
  const [folded, setFolded] = useState(new Map()); // by id, where it differs from what it is at first
  const list = useRef(null);
  const isOpen = (id) => folded.get(id) ?? (way.has(id) || story.nodes.size <= SHOWN_AT_ONCE);
  const fold = (id, open) => setFolded(new Map(folded).set(id, open));
  const onKeyDown = (event) => {
    const items = [...list.current.querySelectorAll("[role=treeitem]")];
    const item = event.target.closest("[role=treeitem]");
    const at = items.indexOf(item);
    const { id } = item?.dataset ?? {};
    const hasChildren = story.children.has(id);
    const to = { ArrowDown: items[at + 1], ArrowUp: items[at - 1], Home: items[0], End: items.at(-1) }[event.key];
    if (to) to.focus();
    else if (event.key === "ArrowRight" && hasChildren) isOpen(id) ? items[at + 1]?.focus() : fold(id, true);
    else if (event.key === "ArrowLeft" && hasChildren && isOpen(id)) fold(id, false);
    else if (event.key === "ArrowLeft") item?.parentElement.closest("[role=treeitem]")?.focus();
    else if (event.key === "Enter" || event.key === " ") select(id);
    else if (event.key === "Escape") onSelect(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const select = (id) => onSelect({ node: id, place: Math.max(0, story.nodes.get(id).steps.length - 1) });
  const open = { story, way, chosen, selected, isOpen, fold, select, first: firstFocus(story, selected) };
  return html`<div class="outline">
    <ul role="tree" aria-label="Candidates and their steps" ref=${list} onKeyDown=${onKeyDown}>
      <${Branches} parent=${ROOT} level=${1} ...${open} />
    </ul>
    ${story.nodes.size === 0 && html`<p class="small">Nothing has grown yet.</p>`}
  </div>`;
}

function firstFocus(story, selected) {
  return selected && story.nodes.has(selected.node) ? selected.node : childrenOf(story, ROOT)[0];
}

function Branches({ parent, level, ...open }) {
  const [limit, setLimit] = useState(SHOWN_AT_ONCE);
  const ids = childrenOf(open.story, parent);
  return html`${ids
    .slice(0, limit)
    .map((id) => html`<${Branch} key=${id} node=${open.story.nodes.get(id)} level=${level} ...${open} />`)}
  ${ids.length > limit &&
  html`<li role="none">
    <button class="link" onClick=${() => setLimit(limit * 4)}>${ids.length - limit} more</button>
  </li>`}`;
}

function Branch({ node, level, ...open }) {
  const { story, way, chosen, selected, isOpen, fold, select } = open;
  const hasChildren = story.children.has(node.id);
  const opened = hasChildren && isOpen(node.id);
  const isChosen = node.id === chosen;
  const kind = ["branch", way.has(node.id) && "chosen", ["dropped", "stopped"].includes(node.state) && "faded"];
  const onClick = (event) => {
    event.stopPropagation();
    select(node.id);
  };
  return html`<li
    role="treeitem"
    class=${kind.filter(Boolean).join(" ")}
    data-id=${node.id}
    tabindex=${node.id === open.first ? 0 : -1}
    aria-level=${level}
    aria-expanded=${hasChildren ? String(opened) : undefined}
    aria-selected=${String(selected?.node === node.id)}
    onClick=${onClick}
  >
    <div class="line">
      ${hasChildren &&
      html`<span class="fold" aria-hidden="true" onClick=${(event) => (event.stopPropagation(), fold(node.id, !opened))}>
        ${opened ? "\u2212" : "+"}
      </span>`}
      <${Score} value=${node.score} title=${`Score ${score(node.score)}`} />
      <span class="what">
        <span class="small">${node.id} \u00b7 ${isChosen ? "the chosen response" : stateInWords(node.state)}</span>
        ${node.steps.map((step) => html`<${Prose} text=${step.text} />`)}
        ${node.answer !== null && html`<div class="small">Answer: <${Said} text=${node.answer} /></div>`}
      </span>
    </div>
    ${opened && html`<ul role="group"><${Branches} parent=${node.id} level=${level + 1} ...${open} /></ul>`}
  </li>`;
}
