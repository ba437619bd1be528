/** The view Now: what the service is doing, for whoever operates it, from its metrics every few seconds. */

import { LineChart } from "../charts.js";
import { count, many, percent, seconds } from "../numbers.js";
import { Notice, html } from "../parts.js";
import { Table } from "../table.js";
import { useEffect, useRef, useState } from "../vendor/preact.js";
import { growth, quantile, readMetrics, total, valuesOf } from "../prometheus.js";

const EVERY_MS = 2_000;
const WINDOW_MS = 5 * 60_000;
const MODEL = "model_name";

/** @param {{service: import("../api.js").Service}} props */
export function Now({ service }) {
  const [isPaused, setIsPaused] = useState(false);
  const { readings, error } = useReadings(service, isPaused);
  const latest = readings.at(-1);
  return html`
    <div class="row between">
      <h1>Now</h1>
      <button type="button" aria-pressed=${isPaused} onClick=${() => setIsPaused(!isPaused)}>Pause</button>
    </div>
    <p class="lead">What this service does, read every ${EVERY_MS / 1000} seconds; lines show the last five minutes.</p>
    ${error && html`<${Notice}>${error.message}<//>`}
    ${
      latest &&
      html`
      <${Tiles} readings=${readings} />
      <${Lines} readings=${readings} />
      <${Engines} readings=${readings} />
      <${Ended} samples=${latest.samples} />
    `
    }
  `;
}

/** Readings of the last five minutes; a view that cannot be seen reads nothing. */
function useReadings(service, isPaused) {
  const [state, setState] = useState({ readings: [], error: null });
  const readings = useRef([]);
  useEffect(() => {
    if (isPaused) return undefined;
    const controller = new AbortController();
    let timer = 0;
    const read = async () => {
      try {
        if (!document.hidden) {
          const text = await (await service.request("/metrics", { signal: controller.signal })).text();
          const at = Date.now();
          const kept = readings.current.filter((each) => at - each.at < WINDOW_MS);
          readings.current = [...kept, { at, samples: readMetrics(text) }];
          setState({ readings: readings.current, error: null });
        }
      } catch (error) {
        if (controller.signal.aborted) return;
        setState({ readings: readings.current, error });
      }
      timer = setTimeout(read, EVERY_MS);
    };
    read();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [isPaused]);
  return state;
}

function Tiles({ readings }) {
  const [first, latest] = [readings[0], readings.at(-1)];
  const value = (name, labels) => total(latest.samples, name, labels);
  const p95 = (name) => quantile(first.samples, latest.samples, name, 0.95);
  const tiles = [
    ["Waiting", count(value("winnow_queued_searches")), "searches in the queue"],
    ["Running", count(value("winnow_searches_in_flight")), "searches not finished yet, those that wait included"],
    ["Requests", count(value("winnow_http_requests_in_flight")), "of all kinds, not answered yet"],
    ["Tokens in flight", count(value("winnow_tokens_in_flight")), "that running searches will probably take, at most"],
    ["95 % of searches", seconds(p95("winnow_search_seconds")), "took no longer, in the last five minutes"],
    ["95 % of waits", seconds(p95("winnow_queue_seconds")), "in the queue took no longer"],
  ];
  return html`
    <dl class="tiles">
      ${tiles.map(
        ([name, shown, meaning]) =>
          html`<div class="tile" key=${name}>
            <dt>${name}</dt>
            <dd>
              <strong>${shown}</strong>
              <span class="small">${meaning}</span>
            </dd>
          </div>`,
      )}
    </dl>
  `;
}

const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"];
const AGO = {
  label: "minutes ago",
  domain: [-5, 0],
  ticks: [-5, -4, -3, -2, -1, 0],
  format: (value) => String(Math.abs(value)),
};

function Lines({ readings }) {
  const { samples } = readings.at(-1);
  const models = valuesOf(samples, "vllm:generation_tokens_total", MODEL);
  const tokens = models.length
    ? models.flatMap((model) => [
        [`${model}: read`, (before, after) => growth(before, after, "vllm:prompt_tokens_total", { [MODEL]: model })],
        [
          `${model}: generated`,
          (before, after) => growth(before, after, "vllm:generation_tokens_total", { [MODEL]: model }),
        ],
      ])
    : ["completion", "verifier"].map((kind) => [
        NAMES[kind],
        (before, after) => growth(before, after, "winnow_tokens_total", { kind }),
      ]);
  return html`
    <div class="charts">
      <${RateChart} title="Tokens a second" readings=${readings} lines=${tokens} />
      <${GaugeChart}
        title="Searches"
        readings=${readings}
        lines=${[
          ["not finished", (each) => total(each, "winnow_searches_in_flight")],
          ["waiting", (each) => total(each, "winnow_queued_searches")],
        ]}
      />
    </div>
  `;
}

const NAMES = { completion: "generated, of finished searches", verifier: "judged, of finished searches" };

function RateChart({ title, readings, lines }) {
  const latest = readings.at(-1).at;
  const series = lines.map(([name, grew], place) => {
    const points = [];
    for (let index = 1; index < readings.length; index++) {
      const [before, after] = [readings[index - 1], readings[index]];
      const amount = grew(before.samples, after.samples);
      if (amount !== null)
        points.push({ x: (after.at - latest) / 60_000, y: amount / ((after.at - before.at) / 1000) });
    }
    return seriesOf(name, place, points);
  });
  return html`<${TimeChart} title=${title} series=${series} />`;
}

function GaugeChart({ title, readings, lines }) {
  const latest = readings.at(-1).at;
  const series = lines.map(([name, value], place) => {
    const points = readings.map(({ at, samples }) => ({ x: (at - latest) / 60_000, y: value(samples) ?? 0 }));
    return seriesOf(name, place, points);
  });
  return html`<${TimeChart} title=${title} series=${series} />`;
}

function seriesOf(name, place, points) {
  return {
    name,
    points,
    colour: COLOURS[place % COLOURS.length],
    dashes: place,
    now: points.length ? count(points.at(-1).y) : "\u2013",
  };
}

function TimeChart({ title, series }) {
  const most = Math.max(4, ...series.flatMap(({ points }) => points.map(({ y }) => y)));
  const y = { label: title, domain: [0, most * 1.08], format: count };
  return html`
    <section class="panel">
      <h2>${title}</h2>
      <${LineChart} ...${{ title, series, x: AGO, y, height: 220, hasMarks: false }} />
    </section>
  `;
}

/** What each engine does, a row each. */
function Engines({ readings }) {
  const [{ samples: first }, { samples: latest }] = [readings[0], readings.at(-1)];
  const models = valuesOf(latest, "vllm:num_requests_running", MODEL);
  const now = (name, model) => total(latest, name, { [MODEL]: model });
  const grew = (name, model) => growth(first, latest, name, { [MODEL]: model });
  const hits = (model) => {
    const asked = grew("vllm:prefix_cache_queries_total", model);
    return asked ? grew("vllm:prefix_cache_hits_total", model) / asked : null;
  };
  const rows = models.map((model) => [
    model,
    count(now("vllm:num_requests_running", model)),
    count(now("vllm:num_requests_waiting", model)),
    percent(now("vllm:kv_cache_usage_perc", model)),
    percent(hits(model)),
    count(grew("vllm:num_preemptions_total", model)),
  ]);
  if (!models.length) {
    return html`<p>The engines of this service tell nothing: they run elsewhere, or there are none.</p>`;
  }
  const head = ["Model", "Running", "Waiting", "Cache in use", "Cache hits, 5 min", "Preempted, 5 min"];
  return html`
    <${Table} title="Engines" ...${{ head, rows }}>
      <${Restarts} samples=${latest} />
      <${VerifierCache} first=${first} latest=${latest} />
    <//>
  `;
}

function Restarts({ samples }) {
  const engines = valuesOf(samples, "winnow_engine_restarts_total", "engine");
  const told = engines.map((engine) => {
    const times = total(samples, "winnow_engine_restarts_total", { engine });
    return `${engine} started again ${many(times, "time")}`;
  });
  return told.length > 0 && html`<p class="small">${told.join("; ")}.</p>`;
}

function VerifierCache({ first, latest }) {
  const grew = (kind) => growth(first, latest, "winnow_tokens_total", { kind });
  const [judged, cached] = ["verifier", "verifier_cached"].map(grew);
  if (!judged && !cached) return null;
  const share = percent(cached / (judged + cached));
  return html`<p class="small">The verifier had ${share} of what the ended searches let it read in its cache.</p>`;
}

/** How searches ended since the service started. */
function Ended({ samples }) {
  const strategies = valuesOf(samples, "winnow_searches_total", "strategy");
  const statuses = valuesOf(samples, "winnow_searches_total", "status");
  if (!strategies.length) return html`<p>No search has ended yet.</p>`;
  const ended = (strategy, status) => total(samples, "winnow_searches_total", { strategy, status }) ?? 0;
  const rows = strategies.map((strategy) => [strategy, ...statuses.map((status) => count(ended(strategy, status)))]);
  return html`<${Table} title="Searches since the start" head=${["Strategy", ...statuses]} rows=${rows} />`;
}
