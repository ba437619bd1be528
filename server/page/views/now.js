/** The view Now. */

import { html } from "../parts.js";

/** @param {{service: object, search: object, about: object, route: object}} props */
export function Now() {
  return html`<h1>Now</h1>`;
}
