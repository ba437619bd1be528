/** A titled table that scrolls sideways by itself, also with the keyboard. */

import { html } from "./parts.js";

/**
 * @param {object} props
 * @param {string} props.title
 * @param {any} [props.aside] What stands beside the title.
 * @param {any} [props.controls] What chooses the rows, above them.
 * @param {string} [props.caption]
 * @param {string[]} props.head The first is that of the rows' names.
 * @param {any[][]} props.rows Each a name and its cells.
 * @param {any} [props.current] The name of the row that is chosen.
 * @param {boolean} [props.isText] Whether cells are read, and not compared as numbers.
 */
export function Table({ title, aside, controls, caption, head, rows, current, isText = false, children }) {
  const id = `table-${title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
  const headOf = (name) => (name === "" ? html`<td></td>` : html`<th scope="col" key=${name}>${name}</th>`);
  return html`
    <section class="panel">
      <div class="row between">
        <h2 id=${id}>${title}</h2>
        ${aside}
      </div>
      ${controls}
      <div class="scroll" tabindex="0" role="region" aria-labelledby=${id}>
        <table class=${isText ? "texts" : "numbers"}>
          ${caption && html`<caption>${caption}</caption>`}
          <thead>
            <tr>${head.map(headOf)}</tr>
          </thead>
          <tbody>
            ${rows.map(
              ([name, ...cells], place) => html`
                <tr key=${place} aria-current=${current !== undefined && current === place ? "true" : undefined}>
                  <th scope="row">${name}</th>
                  ${cells.map((cell) => html`<td>${cell}</td>`)}
                </tr>
              `,
            )}
          </tbody>
        </table>
      </div>
      ${children}
    </section>
  `;
}

/** Leads through the pages of a long table. */
export function Pages({ page, setPage, count, size }) {
  if (count <= size) return null;
  const last = Math.ceil(count / size) - 1;
  const [from, to] = [page * size + 1, Math.min((page + 1) * size, count)];
  return html`
    <nav class="pages" aria-label="Pages of the table">
      <button type="button" disabled=${page === 0} onClick=${() => setPage(page - 1)}>Back</button>
      <span role="status">${from} to ${to} of ${count}</span>
      <button type="button" disabled=${page === last} onClick=${() => setPage(page + 1)}>Next</button>
    </nav>
  `;
}
