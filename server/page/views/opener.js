/** Opens files that somebody drops or picks, for the views that read them. */

import { MAX_FILES, MAX_FILE_BYTES, megabytes } from "../lines.js";
import { many } from "../numbers.js";
import { html } from "../parts.js";
import { useState } from "../vendor/preact.js";

/**
 * @param {{what: string, onFiles: (files: File[]) => Promise<void>}} props what: the kinds of files, in words.
 */
export function Opener({ what, onFiles, children }) {
  const [isOver, setIsOver] = useState(false);
  const [isReading, setIsReading] = useState(false);
  const open = async (files) => {
    setIsReading(true);
    await onFiles([...files].slice(0, MAX_FILES));
    setIsReading(false);
  };
  const drop = (event) => {
    event.preventDefault();
    setIsOver(false);
    if (event.dataTransfer.files.length) open(event.dataTransfer.files);
  };
  const drag = (event) => {
    event.preventDefault();
    setIsOver(true);
  };
  const pick = ({ target }) => open(target.files).then(() => (target.value = ""));
  return html`
    <div
      class=${isOver ? "opener over" : "opener"}
      onDragOver=${drag}
      onDragLeave=${() => setIsOver(false)}
      onDrop=${drop}
    >
      <label class="button">
        Open files
        <input type="file" class="hidden" multiple accept=".json,.jsonl,.ndjson,.txt" onChange=${pick} />
      </label>
      <span>or drop them here: ${what}</span>
      <span class="small">${MAX_FILES} at a time, ${megabytes(MAX_FILE_BYTES)} each; nothing leaves this browser.</span>
      <span role="status" class="small">${isReading && "Reading."}</span>
      ${children}
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
