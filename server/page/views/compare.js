/** The view Compare. */

import { html } from "../parts.js";

/** @param {{service: object, search: object, about: object, route: object}} props */
export function Compare() {
  return html`<h1>Compare</h1>`;
}
