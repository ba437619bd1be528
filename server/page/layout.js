/**
 * Where the steps of a story stand in its tree: a cell for each step, columns by depth, rows packed closely.
 *
 * Knows nothing of pixels: x is the depth, y a number of rows.
 *
 * @typedef {object} Cell
 * @property {string} key `node/place`; "" for the root, which is the problem.
 * @property {import("./story.js").Node|null} node
 * @property {number} place Of the step among those of its node.
 * @property {import("./story.js").Step|null} step Null where a candidate has none of its own.
 * @property {Cell|null} parent
 * @property {Cell[]} children In the order of their ids, those that do not go on around the others.
 * @property {number} depth
 * @property {boolean} isLast Whether it ends its node.
 * @property {boolean} isAlive Whether it is part of a response that goes on or was brought to an end.
 * @property {boolean} isChosen Whether it is on the way to the chosen response.
 * @property {number} tokens
 * @property {number} y Where it stands, in rows.
 */

import { hierarchy, tree } from "./vendor/d3-hierarchy.js";
import { ROOT, childrenOf, pathTo } from "./story.js";

const FADED = new Set(["dropped", "stopped", "lost"]);
const HEIGHT_OF_FADED = 0.7;
const BETWEEN_FAMILIES = 0.3;

/** @returns {string} The key of a step's cell. */
export function keyOf(id, place) {
  return `${id}/${place}`;
}

/**
 * @param {import("./story.js").Story} story
 * @param {string|null} chosen Id of the candidate that was chosen.
 * @returns {{root: Cell, cells: Map<string, Cell>, columns: Cell[][], top: number, bottom: number}}
 *   Columns are sorted from the top.
 */
export function layOut(story, chosen) {
  const cells = new Map();
  const root = cellOf("", null, 0, null, null);
  cells.set("", root);
  growChildren(story, ROOT, root, cells);
  judgeLife(cells);
  for (const cell of cells.values()) if (cell.children.length > 2) centre(cell);
  for (const node of chosen === null ? [] : pathTo(story, chosen)) {
    for (let cell = lastOf(cells, node); cell && cell.node === node; cell = cell.parent) cell.isChosen = true;
  }
  const placed = tree().nodeSize([1, 1]).separation(separation)(hierarchy(root));
  const columns = [];
  let [top, bottom] = [0, 0];
  placed.each(({ x, depth, data }) => {
    data.y = x;
    (columns[depth] ??= []).push(data);
    top = Math.min(top, x);
    bottom = Math.max(bottom, x);
  });
  for (const column of columns) column.sort((one, other) => one.y - other.y);
  return { root, cells, columns, top, bottom };
}

function cellOf(key, node, place, step, parent) {
  return {
    key,
    node,
    place,
    step,
    parent,
    children: [],
    depth: parent ? parent.depth + 1 : 0,
    isLast: true,
    isAlive: true,
    isChosen: false,
    tokens: 0,
    y: 0,
  };
}

/** Cells of all that grows from one; without recursion, since a tree may be as deep as a response is long. */
function growChildren(story, id, cell, cells) {
  const waiting = [[id, cell]];
  while (waiting.length) {
    const [parentId, parentCell] = waiting.pop();
    for (const child of childrenOf(story, parentId)) {
      const last = growNode(story.nodes.get(child), parentCell, cells);
      waiting.push([child, last]);
    }
  }
}

function growNode(node, parent, cells) {
  let last = parent;
  const steps = node.steps.length ? node.steps : [null];
  steps.forEach((step, place) => {
    const cell = cellOf(keyOf(node.id, place), node, place, step, last);
    cell.isLast = place === steps.length - 1;
    cell.tokens = step?.tokens ?? node.tokens / steps.length;
    last.children.push(cell);
    cells.set(cell.key, cell);
    last = cell;
  });
  return last;
}

/** A leaf is alive by its state; what leads to leaves is alive where one of them is. Children come after parents. */
function judgeLife(cells) {
  for (const cell of [...cells.values()].reverse()) {
    cell.isAlive = cell.children.length ? cell.children.some((child) => child.isAlive) : !FADED.has(cell.node?.state);
  }
}

/** What goes on stands in the middle of what does not, or a tree that is cut at every step leans to one side. */
function centre(cell) {
  const alive = cell.children.filter((child) => child.isAlive);
  if (!alive.length) return;
  const others = cell.children.filter((child) => !child.isAlive);
  const half = others.length >> 1;
  cell.children = [...others.slice(0, half), ...alive, ...others.slice(half)];
}

function lastOf(cells, node) {
  return cells.get(keyOf(node.id, Math.max(0, node.steps.length - 1)));
}

function separation(one, other) {
  const height = (heightOf(one.data) + heightOf(other.data)) / 2;
  return one.parent === other.parent ? height : height + BETWEEN_FAMILIES;
}

function heightOf(cell) {
  return cell.children.length === 0 && !cell.isAlive ? HEIGHT_OF_FADED : 1;
}
