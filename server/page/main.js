/** The page: its frame, its views by the hash of the address, the theme, and the key of this tab. */

import { createService } from "./api.js";
import { createComparison } from "./comparison.js";
import { Icon, Notice, html } from "./parts.js";
import { hashOf, parseRoute } from "./route.js";
import { createSearch } from "./search.js";
import { createStore } from "./store.js";
import { render, useEffect, useErrorBoundary, useRef, useState } from "./vendor/preact.js";
import { Solve } from "./views/solve.js";

/** Those that are not seen first are loaded when they are wanted. */
const VIEWS = [
  { name: "solve", title: "Solve", load: async () => Solve },
  { name: "compare", title: "Compare", load: async () => (await import("./views/compare.js")).Compare },
  { name: "replay", title: "Replay", load: async () => (await import("./views/replay.js")).Replay },
  { name: "evaluate", title: "Evaluate", load: async () => (await import("./views/evaluate.js")).Evaluate },
  { name: "now", title: "Now", load: async () => (await import("./views/now.js")).Now },
];
const THEMES = ["auto", "light", "dark"];
const THEME = "winnow-theme";

/** A promise of the answer to a question that a dialog asks, and who settles it. */
const question = { ask: null };
const service = createService((message) => question.ask(message));
const search = createSearch(service);
const comparison = createComparison(service);
/** What was opened from files; no other tab sees it, and it is gone with this one. */
const shelf = createStore({ searches: [], faults: [], opened: null, evaluations: [], evaluationFaults: [] });

function Page() {
  const [route, setRoute] = useState(parseRoute(location.hash));
  const [about, setAbout] = useState(null);
  const [failure, setFailure] = useState(null);
  useEffect(() => {
    const follow = () => setRoute(parseRoute(location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const load = () => {
    setFailure(null);
    service.about().then(setAbout, setFailure);
  };
  useEffect(load, []);
  const view = VIEWS.find((each) => each.name === route.view) ?? VIEWS[0];
  useEffect(() => void (document.title = view.name === "solve" ? "winnow" : `${view.title} \u2013 winnow`), [view]);
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <${Header} current=${view.name} about=${about} />
    <main id="main" tabindex="-1" class=${`view ${view.name}`}>
      ${failure && html`<${Notice}>${failure.message} <button onClick=${load}>Try again</button><//>`}
      ${about && html`<${View} key=${view.name} view=${view} ...${{ service, search, about, route, comparison, shelf }} />`}
    </main>
    <${KeyDialog} />
  `;
}

/** A view as soon as its modules are there. */
function View({ view, ...given }) {
  const [loaded, setLoaded] = useState({ component: null, failed: false });
  const [fault, retry] = useErrorBoundary();
  useEffect(() => {
    const take = (component) => setLoaded({ component, failed: false });
    view.load().then(take, () => setLoaded({ component: null, failed: true }));
  }, []);
  if (fault) return html`<${Notice}>This view cannot be drawn: ${String(fault)} <button onClick=${retry}>Try again</button><//>`;
  if (loaded.failed) return html`<${Notice}>This view cannot be loaded. Is the service running?<//>`;
  return loaded.component && html`<${loaded.component} ...${given} />`;
}

function skip(event) {
  event.preventDefault(); // the hash is the view's
  document.getElementById("main").focus();
}

function Header({ current, about }) {
  const models = about && [about.policy, about.verifier].filter(Boolean).join(" \u00b7 ");
  return html`<header class="top">
    <a class="wordmark" href=${hashOf("solve")}>winnow</a>
    <nav aria-label="Views">
      ${VIEWS.map(
        ({ name, title }) =>
          html`<a href=${hashOf(name)} aria-current=${name === current ? "page" : undefined}>${title}</a>`,
      )}
    </nav>
    <span class="models" title="Policy and verifier of this service">${models}</span>
    ${about?.needs_key && html`<${KeyButton} />`}
    <${ThemeButton} />
  </header>`;
}

function KeyButton() {
  const change = async () => {
    const key = await question.ask("The key that this tab sends. Leave it empty to forget it.");
    if (key !== null) service.setKey(key);
  };
  return html`<button class="quiet" onClick=${change} title="API key of this tab">
    <${Icon} name="key" /><span class="hidden">API key</span>
  </button>`;
}

function ThemeButton() {
  const [theme, setTheme] = useState(readTheme);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    dispatchEvent(new Event("themechange"));
    try {
      localStorage.setItem(THEME, theme);
    } catch {
      // a browser that keeps nothing
    }
  }, [theme]);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  const title = `Colours: ${theme === "auto" ? "as the system has them" : theme}. Change to ${next}.`;
  return html`<button class="quiet" onClick=${() => setTheme(next)} title=${title}>
    <${Icon} name=${theme} /><span class="hidden">${title}</span>
  </button>`;
}

function readTheme() {
  try {
    const kept = localStorage.getItem(THEME);
    return THEMES.includes(kept) ? kept : "auto";
  } catch {
    return "auto";
  }
}

/** Asks for the API key; kept in sessionStorage, for this tab alone. */
function KeyDialog() {
  const dialog = useRef(null);
  const [message, setMessage] = useState("");
  const settle = useRef(null);
  question.ask = (asked) =>
    new Promise((resolve) => {
      settle.current = resolve;
      setMessage(asked);
      dialog.current.returnValue = "";
      dialog.current.querySelector("input").value = "";
      if (!dialog.current.open) dialog.current.showModal();
    });
  const close = () => {
    const isGiven = dialog.current.returnValue === "use";
    settle.current?.(isGiven ? dialog.current.querySelector("input").value.trim() : null);
    settle.current = null;
  };
  const use = (event) => {
    event.preventDefault();
    dialog.current.close("use");
  };
  return html`<dialog ref=${dialog} onClose=${close} aria-labelledby="key-title">
    <form onSubmit=${use}>
      <h2 id="key-title">API key</h2>
      <p>${message}</p>
      <label class="field">
        <span class="label">Key</span>
        <input type="password" name="key" autocomplete="off" spellcheck="false" />
      </label>
      <p class="small">It is kept until this tab is closed, and sent to this service alone.</p>
      <div class="buttons">
        <button type="button" onClick=${() => dialog.current.close("")}>Cancel</button>
        <button class="primary">Use it</button>
      </div>
    </form>
  </dialog>`;
}

document.documentElement.dataset.theme = readTheme();
const place = document.getElementById("page");
place.replaceChildren(); // what stood there until now
render(html`<${Page} />`, place);
