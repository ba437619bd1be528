/**
 * Draws a tree on a canvas: only what is visible, all strokes of one kind at once, and only while something moves.
 *
 * Zooming spreads the cells and leaves the text as it is; labels appear where there is room for them.
 */

import { colourOf, shadeOf } from "./colours.js";
import { layOut } from "./layout.js";
import { chosenOf } from "./story.js";
import { flat, short } from "./text.js";

const COLUMN = 176; // pixels between steps, at a zoom of 1
const ROW = 24;
const MARGIN = { left: 22, right: 150, top: 22, bottom: 22 };
const MOVES_FOR_MS = 260;
const LABELS_FROM = { column: 90, row: 13, faded: 17, answer: 10 };
const MAX_ZOOM = 4;
const MIN_ZOOM = 0.004;
const WIDTHS = [0.8, 1.3, 2, 3, 4.2, 5.6];
const TOKENS = [8, 16, 32, 64, 160];
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';
const SMALL_FONT = FONT.replace("12px", "11px");
const RELAY_SHARE = 4; // a layout may take a quarter of the time

export class TreeCanvas {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => boolean} movesLess Whether motion is to be reduced.
   */
  constructor(canvas, movesLess) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.movesLess = movesLess;
    this.laid = null;
    this.story = null;
    this.selected = null; // key of a cell
    this.hovered = null;
    this.found = new Set(); // keys of cells that a query names
    this.follows = true; // whether the view is fitted to the tree as it grows
    this.view = { x: MARGIN.left, y: 0, kx: 1, ky: 1 };
    this.placedAt = new Map(); // where each cell is drawn: it moves to where it stands
    this.labels = new Map();
    this.frame = 0;
    this.layoutMs = 0;
    this.laidOutAt = -Infinity;
    this.drawn = null;
    this.resize();
    this.restyle();
  }

  /** Take the colours of the theme. */
  restyle() {
    const probe = document.createElement("span");
    probe.hidden = true;
    this.canvas.parentElement.append(probe);
    const colour = (name) => {
      probe.style.color = `var(--${name})`;
      return getComputedStyle(probe).color;
    };
    this.looks = Object.fromEntries(["paper", "raised", "ink", "soft", "edge", "accent"].map((name) => [name, colour(name)]));
    probe.remove();
    this.ask();
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    this.width = clientWidth;
    this.height = clientHeight;
    this.ratio = ratio;
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    if (this.laid && this.follows) this.fit(false);
    this.ask();
  }

  /** Show a story as it is now. */
  show(story) {
    if (this.story?.nodes !== story?.nodes) this.restart();
    this.story = story;
    this.isStale = true;
    this.ask();
  }

  restart() {
    this.laid = null;
    this.placedAt.clear();
    this.labels.clear();
    this.selected = this.hovered = null;
    this.found.clear();
    this.follows = true;
    this.laidOutAt = -Infinity;
  }

  destroy() {
    cancelAnimationFrame(this.frame);
    this.story = this.laid = null;
  }

  /** Draw in the next frame. */
  ask() {
    this.frame ||= requestAnimationFrame((now) => {
      this.frame = 0;
      this.tick(now);
    });
  }

  tick(now) {
    if (!this.story) return;
    if (this.isStale && now - this.laidOutAt >= this.layoutMs * RELAY_SHARE) this.layOut(now);
    const isMoving = this.move(now);
    this.draw();
    if (isMoving || this.isStale) this.ask();
  }

  layOut(now) {
    const started = performance.now();
    this.isStale = false;
    this.laid = layOut(this.story, chosenOf(this.story));
    for (const [key, cell] of this.laid.cells) {
      let at = this.placedAt.get(key);
      if (!at) {
        const from = cell.parent && this.placedAt.get(cell.parent.key);
        at = from && !this.movesLess() ? { x: from.x, y: from.y } : { x: cell.depth, y: cell.y };
        this.placedAt.set(key, at);
      }
      at.fromX = at.x;
      at.fromY = at.y;
      cell.at = at;
    }
    if (this.placedAt.size > this.laid.cells.size) this.forget();
    this.movesSince = now;
    this.laidOutAt = now;
    this.layoutMs = performance.now() - started;
    if (this.follows) this.fit(this.laid.cells.size > 1);
  }

  forget() {
    for (const key of this.placedAt.keys()) {
      if (!this.laid.cells.has(key)) this.placedAt.delete(key);
    }
  }

  /** Move cells and view towards where they belong; whether there is way left. */
  move(now) {
    if (!this.laid) return false;
    const whole = this.movesLess() ? 1 : Math.min(1, (now - this.movesSince) / MOVES_FOR_MS);
    const share = 1 - (1 - whole) ** 3;
    if (!this.isSettled || whole < 1) {
      for (const cell of this.laid.cells.values()) {
        cell.at.x = cell.at.fromX + (cell.depth - cell.at.fromX) * share;
        cell.at.y = cell.at.fromY + (cell.y - cell.at.fromY) * share;
      }
    }
    this.isSettled = whole >= 1;
    const isTravelling = this.travel(now);
    return !this.isSettled || isTravelling;
  }

  /** Let the view travel to its goal. */
  travel(now) {
    if (!this.goal) return false;
    this.goal.since ??= now;
    const whole = this.movesLess() ? 1 : Math.min(1, (now - this.goal.since) / MOVES_FOR_MS);
    const share = 1 - (1 - whole) ** 3;
    for (const name of ["x", "y", "kx", "ky"]) {
      this.view[name] = this.goal.from[name] + (this.goal.to[name] - this.goal.from[name]) * share;
    }
    if (whole < 1) return true;
    this.goal = null;
    return false;
  }

  go(to, isSmooth = true) {
    if (isSmooth && !this.movesLess()) {
      this.goal = { from: { ...this.view }, to };
    } else {
      this.goal = null;
      this.view = to;
    }
    this.ask();
  }

  /** Bring the whole tree into view. */
  fit(isSmooth = true) {
    this.follows = true;
    if (!this.laid) return;
    const depth = Math.max(1, this.laid.columns.length - 1);
    const rows = Math.max(1, this.laid.bottom - this.laid.top);
    const free = { width: this.width - MARGIN.left - MARGIN.right, height: this.height - MARGIN.top - MARGIN.bottom };
    const kx = Math.min(1.15, Math.max(MIN_ZOOM, free.width / (depth * COLUMN)));
    const ky = Math.min(1.4, Math.max(MIN_ZOOM, free.height / (rows * ROW)));
    const middle = ((this.laid.top + this.laid.bottom) / 2) * ROW * ky;
    this.go({ x: MARGIN.left, y: this.height / 2 - middle, kx, ky }, isSmooth);
  }

  /** Zoom around a point of the canvas, its middle where none is given. */
  zoom(factor, x = this.width / 2, y = this.height / 2, isSmooth = false) {
    this.follows = false;
    const { view } = this;
    const limit = (k) => Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, k * factor));
    const [kx, ky] = [limit(view.kx), limit(view.ky)];
    this.go({ kx, ky, x: x - ((x - view.x) * kx) / view.kx, y: y - ((y - view.y) * ky) / view.ky }, isSmooth);
  }

  pan(dx, dy) {
    this.follows = false;
    this.go({ ...this.view, x: this.view.x + dx, y: this.view.y + dy }, false);
  }

  /** Bring a cell into view, if it is not. */
  reveal(key) {
    const cell = this.laid?.cells.get(key);
    if (!cell) return;
    const { x, y } = this.pointOf(cell.depth, cell.y);
    const dx = x < 30 ? 60 - x : x > this.width - 130 ? this.width - 200 - x : 0;
    const dy = y < 20 ? 60 - y : y > this.height - 20 ? this.height - 60 - y : 0;
    if (!dx && !dy) return;
    this.follows = false;
    this.go({ ...this.view, x: this.view.x + dx, y: this.view.y + dy });
  }

  pointOf(depth, row) {
    return { x: this.view.x + depth * COLUMN * this.view.kx, y: this.view.y + row * ROW * this.view.ky };
  }

  /** @returns {import("./layout.js").Cell|null} The cell at a point of the canvas. */
  cellAt(x, y) {
    if (!this.laid) return null;
    const { view } = this;
    const depth = Math.floor((x - view.x) / (COLUMN * view.kx) + 0.12);
    const reach = Math.max(6, Math.min(12, (ROW * view.ky) / 2));
    let best = null;
    for (const column of [this.laid.columns[depth], this.laid.columns[depth + 1]]) {
      for (const cell of column ? inRows(column, (y - reach - view.y) / (ROW * view.ky), (y + reach - view.y) / (ROW * view.ky)) : []) {
        const point = this.pointOf(cell.depth, cell.y);
        const wide = this.hasLabels() ? COLUMN * view.kx * 0.7 : reach;
        if (x < point.x - reach || x > point.x + wide) continue;
        const distance = Math.abs(y - point.y) + Math.max(0, point.x - x);
        if (!best || distance < best.distance) best = { cell, distance };
      }
    }
    return best?.cell ?? null;
  }

  hasLabels() {
    return COLUMN * this.view.kx >= LABELS_FROM.column && ROW * this.view.ky >= LABELS_FROM.row;
  }

  draw() {
    const { context, looks, ratio } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    if (!this.laid) return;
    const visible = this.visible();
    this.drawEdges(visible);
    this.drawChosen();
    this.drawDots(visible);
    if (COLUMN * this.view.kx >= LABELS_FROM.column) this.drawLabels(visible);
    context.globalAlpha = 1;
    if (this.selected) this.ring(this.selected, looks.accent, 2.5);
    if (this.hovered && this.hovered !== this.selected) this.ring(this.hovered, looks.soft, 1.5);
    this.drawn = { cells: visible.length, at: performance.now(), revision: this.story.revision };
  }

  /** Cells on the canvas, and those whose edge or label reaches into it. */
  visible() {
    const { view, laid } = this;
    const first = Math.max(0, Math.floor((0 - view.x) / (COLUMN * view.kx)) - 1);
    const last = Math.min(laid.columns.length - 1, Math.ceil((this.width - view.x) / (COLUMN * view.kx)) + 1);
    const from = (-ROW - view.y) / (ROW * view.ky);
    const to = (this.height + ROW - view.y) / (ROW * view.ky);
    const found = [];
    for (let depth = first; depth <= last; depth += 1) {
      const column = laid.columns[depth];
      if (this.isSettled) found.push(...inRows(column, from, to));
      else found.push(...column.filter((cell) => cell.at.y >= from && cell.at.y <= to));
    }
    return found;
  }

  drawEdges(visible) {
    const { context, looks, view } = this;
    const isFar = ROW * view.ky < 5 || COLUMN * view.kx < 24;
    const scale = Math.min(1, Math.max(0.5, (ROW * view.ky) / 14));
    const batches = new Map();
    const add = (cell) => {
      if (!cell.parent || cell.isChosen) return;
      const kind = widthOf(cell.tokens) * 2 + (cell.isAlive ? 1 : 0);
      let path = batches.get(kind);
      if (!path) batches.set(kind, (path = new Path2D()));
      this.trace(path, cell, isFar);
    };
    const seen = new Set(visible);
    for (const cell of visible) {
      add(cell);
      for (const child of cell.children) if (!seen.has(child)) add(child);
    }
    context.strokeStyle = looks.edge;
    context.lineCap = "butt";
    for (const [kind, path] of [...batches].sort(([one], [other]) => (one & 1) - (other & 1))) {
      context.globalAlpha = kind & 1 ? 1 : 0.42;
      context.lineWidth = WIDTHS[kind >> 1] * scale;
      context.stroke(path);
    }
    context.globalAlpha = 1;
  }

  /** An edge runs straight below the label of its parent, and then bends to its child. */
  trace(path, cell, isFar) {
    const { view } = this;
    const from = cell.parent.at;
    const x0 = view.x + from.x * COLUMN * view.kx;
    const y0 = view.y + from.y * ROW * view.ky;
    const x1 = view.x + cell.at.x * COLUMN * view.kx;
    const y1 = view.y + cell.at.y * ROW * view.ky;
    path.moveTo(x0, y0);
    if (isFar || Math.abs(y1 - y0) < 0.5) {
      path.lineTo(x1, y1);
      return;
    }
    const bend = x0 + (x1 - x0) * (cell.parent.parent ? 0.64 : 0.3);
    const middle = (bend + x1) / 2;
    path.lineTo(bend, y0);
    path.bezierCurveTo(middle, y0, middle, y1, x1, y1);
  }

  /** The way to the chosen response: in ink, above all others, with a margin of paper. */
  drawChosen() {
    const { context, looks } = this;
    const path = new Path2D();
    let isThere = false;
    for (const column of this.laid.columns) {
      for (const cell of column) {
        if (!cell.isChosen || !cell.parent) continue;
        this.trace(path, cell, false);
        isThere = true;
      }
    }
    if (!isThere) return;
    context.lineCap = "round";
    context.strokeStyle = looks.raised;
    context.lineWidth = 8;
    context.stroke(path);
    context.strokeStyle = looks.ink;
    context.lineWidth = 3.5;
    context.stroke(path);
  }

  drawDots(visible) {
    const { context, view, looks } = this;
    const radius = Math.max(1, Math.min(6, ROW * view.ky * 0.3, COLUMN * view.kx * 0.3));
    const groups = new Map();
    for (const cell of visible) {
      const shade = cell.parent ? shadeOf(cell.step ? cell.step.score : cell.node.score) : -2;
      const kind = (shade + 2) * 2 + (cell.isAlive || cell.isChosen ? 1 : 0);
      if (!groups.has(kind)) groups.set(kind, []);
      groups.get(kind).push(cell);
    }
    for (const [kind, cells] of groups) {
      const shade = (kind >> 1) - 2;
      context.globalAlpha = kind & 1 ? 1 : 0.5;
      context.fillStyle = shade === -2 ? looks.ink : shade === -1 ? looks.raised : colourOf(shade);
      context.strokeStyle = looks.soft;
      context.lineWidth = 1;
      if (radius < 2.2) this.fillSquares(cells, Math.max(2.4, radius * 2));
      else this.fillCircles(cells, radius);
    }
    context.globalAlpha = 1;
  }

  fillSquares(cells, size) {
    const { context, view } = this;
    for (const { at } of cells) {
      const x = view.x + at.x * COLUMN * view.kx;
      const y = view.y + at.y * ROW * view.ky;
      context.fillRect(x - size / 2, y - size / 2, size, size);
    }
  }

  fillCircles(cells, radius) {
    const { context, view } = this;
    context.beginPath();
    for (const cell of cells) {
      const x = view.x + cell.at.x * COLUMN * view.kx;
      const y = view.y + cell.at.y * ROW * view.ky;
      const own = isEnd(cell) ? radius * 1.25 : radius;
      context.moveTo(x + own, y);
      context.arc(x, y, own, 0, 2 * Math.PI);
    }
    context.fill();
    context.stroke();
  }

  /** Labels where there is room; those of the chosen way always, on paper of their own. */
  drawLabels(visible) {
    const { context, looks, view } = this;
    const row = ROW * view.ky;
    const room = COLUMN * view.kx * 0.72;
    const chosen = visible.filter((cell) => cell.isChosen);
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = looks.raised;
    for (const cell of [...visible.filter((cell) => !cell.isChosen), ...chosen]) {
      const isEnding = isEnd(cell) && cell.node.answer !== null;
      const isOnItsWay = cell.at.x < cell.depth - 0.02;
      if (!cell.parent || isOnItsWay || row < rowForLabel(cell, isEnding)) continue;
      const isBold = isEnding || this.found.has(cell.key);
      const x = view.x + cell.at.x * COLUMN * view.kx + (isEnding ? 12 : 9);
      const y = view.y + cell.at.y * row;
      context.font = `${isBold ? 600 : 400} ${row < LABELS_FROM.row ? SMALL_FONT : FONT}`;
      context.globalAlpha = cell.isAlive || cell.isChosen ? 1 : 0.5;
      context.fillStyle = this.found.size && !this.found.has(cell.key) ? looks.soft : looks.ink;
      context.textBaseline = isEnding ? "middle" : "bottom";
      const label = this.labelOf(cell, isEnding, isEnding ? MARGIN.right - 20 : cell.children.length ? room : room * 1.18);
      if (cell.isChosen) context.strokeText(label, x, isEnding ? y : y - 2);
      context.fillText(label, x, isEnding ? y : y - 2);
    }
  }

  /** What stands beside a cell, cut to the room that there is; measured once for each text and room. */
  labelOf(cell, isEnding, room) {
    const score = cell.step?.score ?? (cell.step ? null : cell.node.score);
    const number = score === null ? "" : `${score.toFixed(2).replace(/^0/, "")} `;
    const whole = isEnding ? `${number} = ${short(flat(cell.node.answer), 40)}` : number + withoutMarks(cell.step?.text ?? "");
    const key = `${Math.round(room / 8)} ${whole}`;
    let cut = this.labels.get(key);
    if (cut === undefined) {
      cut = cutTo(this.context, whole, room);
      if (this.labels.size > 20_000) this.labels.clear();
      this.labels.set(key, cut);
    }
    return cut;
  }

  ring(key, colour, width) {
    const cell = this.laid.cells.get(key);
    if (!cell) return;
    const { x, y } = this.pointOf(cell.at.x, cell.at.y);
    this.context.beginPath();
    this.context.arc(x, y, 9.5, 0, 2 * Math.PI);
    this.context.strokeStyle = colour;
    this.context.lineWidth = width;
    this.context.stroke();
  }
}

/** The cells of a column between two rows, found by halving. */
function inRows(column, from, to) {
  const first = firstFrom(column, from);
  let last = first;
  while (last < column.length && column[last].y <= to) last += 1;
  return column.slice(first, last);
}

function firstFrom(column, row) {
  let [low, high] = [0, column.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (column[middle].y < row) low = middle + 1;
    else high = middle;
  }
  return low;
}

function widthOf(tokens) {
  const width = TOKENS.findIndex((limit) => tokens <= limit);
  return width < 0 ? WIDTHS.length - 1 : width;
}

/** How far apart rows have to be for a label; those that faded stand closer. */
function rowForLabel(cell, isEnding) {
  if (cell.isChosen) return 0;
  if (isEnding) return LABELS_FROM.answer;
  return cell.children.length || cell.isAlive ? LABELS_FROM.row : LABELS_FROM.faded;
}

function isEnd(cell) {
  return cell.isLast && cell.node !== null && cell.node.state === "complete";
}

/** A step on one line, without what marks its headings and formulas. */
function withoutMarks(text) {
  return short(text.replace(/^#+\s*(Step \d+:?)?\s*/, "").replace(/\$+|\\[()[\]]/g, ""), 80);
}

function cutTo(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(`${text.slice(0, middle)}\u2026`).width <= room) low = middle;
    else high = middle - 1;
  }
  return low ? `${text.slice(0, low).trimEnd()}\u2026` : "";
}
