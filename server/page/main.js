/** The page: its frame, its views by the hash of the address, the theme, and the key of this tab. */

import { createService } from "./api.js";
import { Icon, Notice, html } from "./parts.js";
import { hashOf, parseRoute } from "./route.js";
import { createSearch } from "./search.js";
import { render, useEffect, useRef, useState } from "./vendor/preact.js";
import { Compare } from "./views/compare.js";
import { Evaluate } from "./views/evaluate.js";
import { Now } from "./views/now.js";
import { Replay } from "./views/replay.js";
import { Solve } from "./views/solve.js";

const VIEWS = [
  { name: "solve", title: "Solve", component: Solve },
  { name: "compare", title: "Compare", component: Compare },
  { name: "replay", title: "Replay", component: Replay },
  { name: "evaluate", title: "Evaluate", component: Evaluate },
  { name: "now", title: "Now", component: Now },
];
const THEMES = ["auto", "light", "dark"];
const THEME = "winnow-theme";

/** A promise of the answer to a question that a dialog asks, and who settles it. */
const question = { ask: null };
const service = createService((message) => question.ask(message));
const search = createSearch(service);

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
      ${about && html`<${view.component} service=${service} search=${search} about=${about} route=${route} />`}
    </main>
    <${KeyDialog} />
  `;
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
