/** The view Replay. */

import { html } from "../parts.js";

/** @param {{service: object, search: object, about: object, route: object}} props */
export function Replay() {
  return html`<h1>Replay</h1>`;
}
