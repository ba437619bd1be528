/** Opens files that somebody drops or picks, for the views that read them. */

import { MAX_FILE_BYTES, MAX_FILES, megabytes } from "../lines.js";
import { many } from "../numbers.js";
import { html } from "../parts.js";
import { useEffect, useRef, useState } from "../vendor/preact.js";

/**
 * @param {{what: string, onFiles: (files: File[]) => Promise<void>}} props what: the kinds of files, in words.
 */
export function Opener({ what, onFiles }) {
  const [isOver, setIsOver] = useState(false);
  const [told, setTold] = useState("");
  const open = async (files) => {
    const all = [...files];
    setTold("Reading.");
    await onFiles(all.slice(0, MAX_FILES));
    setTold(all.length > MAX_FILES ? `The first ${MAX_FILES} of ${all.length} files were opened.` : "");
  };
  const latest = useRef(open);
  latest.current = open;
  useEffect(() => {
    const drag = (event) => (event.preventDefault(), setIsOver(true));
    const leave = (event) => event.relatedTarget === null && setIsOver(false);
    const drop = (event) => {
      event.preventDefault(); // anywhere, or the browser would leave the page for the file
      setIsOver(false);
      if (event.dataTransfer.files.length) latest.current(event.dataTransfer.files);
    };
    const events = { dragover: drag, dragleave: leave, drop };
    for (const [name, listener] of Object.entries(events)) addEventListener(name, listener);
    return () => {
      for (const [name, listener] of Object.entries(events)) removeEventListener(name, listener);
    };
  }, []);
  const pick = ({ target }) => open(target.files).then(() => (target.value = ""));
  return html`
    <div class=${isOver ? "opener over" : "opener"}>
      <label class="button">
        Open files
        <input type="file" class="hidden" multiple accept=".json,.jsonl,.ndjson,.txt" onChange=${pick} />
      </label>
      <span>or drop them here: ${what}</span>
      <span class="small">${MAX_FILES} at a time, ${megabytes(MAX_FILE_BYTES)} each; nothing leaves this browser.</span>
      <span role="status" class="small">${told}</span>
    </div>
  `;
}

/** What could not be used, a line each; many are counted. */
export function Faults({ faults, most = 5 }) {
  if (!faults.length) return null;
  return html`
    <div class="notice warning" role="alert">
      <p>${many(faults.length, "thing")} could not be used:</p>
      <ul>
        ${faults.slice(0, most).map((fault) => html`<li key=${fault}>${fault}</li>`)}
        ${faults.length > most && html`<li>and ${many(faults.length - most, "other")}</li>`}
      </ul>
    </div>
  `;
}
