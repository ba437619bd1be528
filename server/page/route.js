/**
 * Where the page is, by the hash of its address: `#view`, `#view/rest`, `#view/rest?name=value`.
 *
 * @typedef {{view: string, rest: string, query: URLSearchParams}} Route
 */

/**
 * @param {string} hash
 * @returns {Route}
 */
export function parseRoute(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view, ...rest] = path.split("/");
  return { view: view || "solve", rest: rest.map(decode).join("/"), query: new URLSearchParams(query) };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * @param {string} view
 * @param {string} [rest]
 * @param {Record<string, string>} [query]
 * @returns {string} The hash.
 */
export function hashOf(view, rest = "", query = {}) {
  const path = rest ? `${view}/${encodeURIComponent(rest)}` : view;
  const asked = new URLSearchParams(query).toString();
  return `#${path}${asked ? `?${asked}` : ""}`;
}

/** Put something else into the address, without a step in the browser's history. */
export function replaceHash(hash) {
  history.replaceState(null, "", hash);
}
