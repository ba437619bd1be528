/** What is kept for this tab: by the browser, or in memory where it keeps nothing. */

const memory = new Map();

/** @returns {string|null} */
export function kept(name) {
  try {
    return memory.get(name) ?? sessionStorage.getItem(name);
  } catch {
    return null;
  }
}

/** @param {string} name @param {string|null} value Null forgets it. */
export function keep(name, value) {
  memory.delete(name);
  try {
    if (value === null) sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, value);
  } catch {
    if (value !== null) memory.set(name, value);
  }
}
