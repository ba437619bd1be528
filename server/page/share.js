/** What can be done with a search besides looking at it: save it, link to it, ask for it from code. */

import { html } from "./parts.js";
import { hashOf } from "./route.js";
import { savedText } from "./saved.js";
import { LANGUAGES } from "./snippets.js";
import { useRef, useState } from "./vendor/preact.js";

const MAX_LINK = 8_000;
const NOT_LINKED = ["stream", "background", "include"];

/** @returns {string|null} The address of a form filled with a request; null where that would be too long to be sent. */
export function linkTo(request) {
  const told = Object.entries(request).filter(([name, value]) => !NOT_LINKED.includes(name) && isPlain(value));
  const address = `${location.origin}${location.pathname}${hashOf("solve", "", Object.fromEntries(told))}`;
  return address.length > MAX_LINK ? null : address;
}

function isPlain(value) {
  return ["string", "number", "boolean"].includes(typeof value);
}

/**
 * @param {{request: object|null, reply: object|null, events: object[]|null, about: object}} props
 */
export function Share({ request, reply, events, about }) {
  const hasProblem = typeof request?.problem === "string";
  if (!hasProblem && !reply) return null;
  return html`
    <section class="share panel" aria-labelledby="share-title">
      <h2 id="share-title">Save and share</h2>
      <div class="buttons">
        ${
          reply &&
          html`<button type="button" onClick=${() => save([{ request: request ?? {}, reply, events: events ?? [] }])}>
          Save as a file
        </button>`
        }
        ${hasProblem && html`<${LinkButton} link=${linkTo(request)} />`}
      </div>
      ${hasProblem && about.policy && html`<${Code} request=${request} about=${about} />`}
    </section>
  `;
}

function LinkButton({ link }) {
  if (link === null) return html`<p class="small">The problem is too long for a link: save it as a file.</p>`;
  return html`<${CopyButton} text=${link}>Copy a link to the filled form<//>`;
}

function Code({ request, about }) {
  const [language, setLanguage] = useState(LANGUAGES[0][0]);
  const where = {
    origin: location.origin + location.pathname.replace(/\/$/, ""),
    model: about.policy,
    hasKey: about.needs_key,
  };
  const code = LANGUAGES.find(([name]) => name === language)[1](request, where);
  return html`
    <details>
      <summary>The same search from code</summary>
      <fieldset class="choices">
        <legend class="hidden">Language</legend>
        ${LANGUAGES.map(
          ([name]) => html`
            <label key=${name}>
              <input type="radio" name="language" checked=${name === language} onChange=${() => setLanguage(name)} />
              ${name}
            </label>
          `,
        )}
      </fieldset>
      <pre class="code" tabindex="0" role="region" aria-label=${`${language} code`}><code>${code}</code></pre>
      <div class="buttons"><${CopyButton} text=${code}>Copy<//></div>
    </details>
  `;
}

/** Copies a text, and says that it has; where the browser does not let it, shows the text to be copied by hand. */
export function CopyButton({ text, children }) {
  const [state, setState] = useState("");
  const field = useRef(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text); // not there without https, but on this machine
      setState("copied");
    } catch {
      setState("by hand");
      requestAnimationFrame(() => field.current?.select());
    }
  };
  return html`
    <button type="button" onClick=${copy}>${children}</button>
    <span role="status" class="small">${state === "copied" && "Copied."}</span>
    ${
      state === "by hand" &&
      html`<label class="field">
      <span class="label">Copy it from here</span>
      <textarea readonly rows="2" ref=${field} value=${text}></textarea>
    </label>`
    }
  `;
}

/**
 * Save searches as a file, a line each.
 *
 * @param {{request: object, reply: object, events: object[]}[]} searches
 */
export function save(searches) {
  const lines = searches.map(({ request, reply, events }) => savedText(request, reply, events));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
  link.download = `winnow-${(searches[0].reply.id || "search").replace(/[^\w-]/g, "").slice(0, 12)}.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
