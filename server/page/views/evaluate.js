/** The view Evaluate. */

import { html } from "../parts.js";

/** @param {{service: object, search: object, about: object, route: object}} props */
export function Evaluate() {
  return html`<h1>Evaluate</h1>`;
}
