/** The view Replay: finished searches opened from files, and watched again from their first event to the answer. */

import { textOf } from "../lines.js";
import { count, percent } from "../numbers.js";
import { Inspect } from "../inspect.js";
import { Answer, Notice, Prose, html, useSearch } from "../parts.js";
import { readSaved, MAX_SEARCHES } from "../saved.js";
import { Share } from "../share.js";
import { Pages, Table } from "../table.js";
import { short } from "../text.js";
import { momentInWords, storyAt, tellOn, timelineOf } from "../timeline.js";
import { Tree } from "../tree.js";
import { useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { Faults, Opener } from "./opener.js";
import { Bill, Outcome } from "./solve.js";

const PAGE = 25;
const SPEEDS = [1, 4, 16];
const ROUND_MS = 900; // of a search whose events were not saved

/** @param {{about: object, shelf: object}} props */
export function Replay({ about, shelf }) {
  const { searches, faults, opened } = useSearch(shelf);
  const onOpen = (search) => shelf.set({ opened: search });
  const open = async (files) => shelf.set(await read(files, searches));
  return html`
    <h1>Replay</h1>
    <${Opener} what="what this page has saved, or winnow solve --json, solve --file, eval --searches" onFiles=${open} />
    <${Faults} faults=${faults} />
    ${searches.length > 1 && html`<${Searches} ...${{ searches, opened, onOpen }} />`}
    ${opened ? html`<${Opened} key=${searches.indexOf(opened)} search=${opened} about=${about} />` : html`<${Empty} />`}
  `;
}

async function read(files, before) {
  const [searches, faults] = [[...before], []];
  for (const file of files) {
    try {
      const found = readSaved(await textOf(file), file.name, MAX_SEARCHES - searches.length);
      if (found.outcomes) faults.push(`${file.name} holds outcomes, and no searches: open it under Evaluate`);
      searches.push(...found.searches);
      faults.push(...found.faults);
    } catch (error) {
      faults.push(error.message);
    }
  }
  return { searches, faults, ...(searches.length > before.length ? { opened: searches[before.length] } : {}) };
}

function Empty() {
  return html`
    <div class="empty">
      <p>Nothing is open. A search that has ended under Solve or Compare can be saved there; on a command line,</p>
      <pre class="code" tabindex="0"><code>winnow solve --json "Compute 8 + 6 * 4 - 12." > search.json
winnow solve --file problems.jsonl --out searches.jsonl --include tree
winnow eval --searches searches.jsonl</code></pre>
    </div>
  `;
}

/** Those of the files, to choose one from. */
function Searches({ searches, opened, onOpen }) {
  const [wanted, setWanted] = useState("");
  const [page, setPage] = useState(0);
  const found = useMemo(
    () => searches.filter(({ problem }) => (problem ?? "").toLowerCase().includes(wanted.toLowerCase())),
    [searches, wanted],
  );
  const shown = found.slice(page * PAGE, (page + 1) * PAGE);
  const rows = shown.map((search) => {
    const { reply, problem, where } = search;
    const name = short(problem ?? where, 80);
    return [
      html`<button type="button" class="link" onClick=${() => onOpen(search)}>${name}</button>`,
      reply.strategy.name,
      reply.strategy.n,
      html`<${Answer} text=${reply.answer} />`,
      percent(reply.confidence),
    ];
  });
  const find = html`
    <label class="field inline">
      <span class="label">Find a problem</span>
      <input type="search" value=${wanted} onInput=${({ target }) => (setWanted(target.value), setPage(0))} />
    </label>
  `;
  const title = `${count(searches.length)} searches`;
  const head = ["Problem", "Strategy", "N", "Answer", "Confidence"];
  return html`
    <${Table} ...${{ title, aside: find, head, rows, current: shown.indexOf(opened), isText: true }}>
      <${Pages} ...${{ page, setPage, count: found.length, size: PAGE }} />
    <//>
  `;
}

function Opened({ search, about }) {
  const timeline = useMemo(() => timelineOf(search), [search]);
  const last = timeline.moments.length - 1;
  const [wanted, setMoment] = useState(last);
  const moment = Math.min(wanted, last);
  const [selected, setSelected] = useState(null);
  const story = useStory(timeline, moment, search.problem);
  const chosen = story.nodes.has(selected?.node) ? selected : null;
  const state = { ...FINISHED, story, phase: moment === last ? "done" : "running" };
  return html`
    <section class="opened" aria-label="The opened search">
      <div class="panel asked">
        ${
          search.problem === null
            ? html`<p>The file does not say what was asked.</p>`
            : html`<${Prose} text=${search.problem} />`
        }
        <p class="small">
          ${search.where}${search.golds.length > 0 && html`; the right answer is <${Answer} text=${search.golds[0]} />`}
        </p>
      </div>
      ${
        search.leftOut.length > 0 &&
        html`<${Notice} kind="warning">The line was too long to hold the ${search.leftOut.join(" and the ")}.<//>`
      }
      <${Scrubber} ...${{ timeline, moment, setMoment }} />
      <${Outcome} state=${state} onShow=${setSelected} />
      <div class=${chosen ? "growth inspected" : "growth"}>
        <${Tree} story=${story} selected=${chosen} onSelect=${setSelected} />
        ${chosen && html`<${Inspect} story=${story} selected=${chosen} onSelect=${setSelected} />`}
      </div>
      <div class="pair">
        <${Bill} state=${state} />
        <${Share} request=${askedFor(search)} reply=${search.reply} events=${search.events} about=${about} />
      </div>
    </section>
  `;
}

/** What a search that runs has, and a finished one has not. */
const FINISHED = { error: null, retryAt: null, attempt: 0, startedAt: null };

/** The story at a moment: told on from the last one where it is later, else from the start. */
function useStory(timeline, moment, problem) {
  const told = useRef({ timeline: null, moment: -1, story: null });
  if (told.current.timeline !== timeline || moment < told.current.moment) {
    told.current = { timeline, moment, story: storyAt(timeline, moment, problem) };
  } else if (moment > told.current.moment) {
    const story = tellOn(timeline, told.current.story, told.current.moment, moment);
    told.current = { timeline, moment, story };
  }
  return told.current.story;
}

/** What was asked; a reply alone tells the strategy, and not the problem. */
function askedFor({ request, problem }) {
  return typeof request.problem === "string" ? request : problem === null ? null : { ...request, problem };
}

function Scrubber({ timeline, moment, setMoment }) {
  const [isPlaying, setIsPlaying] = useState(false);
  const [speed, setSpeed] = useState(SPEEDS[0]);
  const last = timeline.moments.length - 1;
  useEffect(() => {
    if (!isPlaying) return undefined;
    if (moment >= last) return void setIsPlaying(false);
    const timer = setTimeout(() => setMoment(nextMoment(timeline, moment, speed)), pauseAfter(timeline, moment, speed));
    return () => clearTimeout(timer);
  }, [isPlaying, moment, speed]);
  const play = () => {
    if (!isPlaying && moment === last) setMoment(0);
    setIsPlaying(!isPlaying);
  };
  const words = momentInWords(timeline, moment);
  return html`
    <div class="scrubber">
      <button type="button" class="primary" onClick=${play}>${isPlaying ? "Pause" : "Play"}</button>
      <button type="button" onClick=${() => setMoment(Math.max(moment - 1, 0))} disabled=${moment === 0}>Back</button>
      <input
        type="range" min="0" max=${last} value=${moment} aria-label="Moment of the search" aria-valuetext=${words}
        onInput=${({ target }) => (setIsPlaying(false), setMoment(Number(target.value)))}
      />
      <button type="button" onClick=${() => setMoment(Math.min(moment + 1, last))} disabled=${moment === last}>
        Next
      </button>
      <label class="field inline">
        <span class="label">Speed</span>
        <select value=${speed} onChange=${({ target }) => setSpeed(Number(target.value))}>
          ${SPEEDS.map((each) => html`<option key=${each} value=${each}>${each}\u00d7</option>`)}
        </select>
      </label>
      <p class="small">
        ${timeline.isRecorded ? "Event" : "Moment"} ${count(moment + 1)} of ${count(last + 1)}: ${words}.
        ${!timeline.isRecorded && " The file holds the reply alone, so time goes by rounds."}
      </p>
    </div>
  `;
}

const SHORTEST_MS = 30;

/** The first moment that is later by what a frame of the replay lasts. */
function nextMoment({ events, moments, isRecorded }, moment, speed) {
  if (!isRecorded) return moment + 1;
  const at = (place) => events[moments[place] - 1].at ?? 0;
  const last = moments.length - 1;
  let next = moment + 1;
  while (next < last && at(next) - at(moment) < SHORTEST_MS * speed) next += 1;
  return next;
}

function pauseAfter(timeline, moment, speed) {
  const { events, moments, isRecorded } = timeline;
  if (!isRecorded) return ROUND_MS / speed;
  const at = (place) => events[moments[place] - 1].at ?? 0;
  return Math.min(Math.max((at(nextMoment(timeline, moment, speed)) - at(moment)) / speed, SHORTEST_MS), 2000);
}
