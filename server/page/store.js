/** A state that outlives the view that shows it; views subscribe to it as they do to a search. */

/**
 * @template T
 * @param {T} initial
 * @returns {{state: () => T, set: (change: Partial<T>) => void, subscribe: (listener: () => void) => () => void}}
 */
export function createStore(initial) {
  const listeners = new Set();
  let state = initial;
  return {
    state: () => state,
    set(change) {
      state = { ...state, ...change };
      listeners.forEach((listener) => listener());
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
