/**
 * Text that somebody else has written, made safe to look at: characters that cannot be seen, or that turn the text
 * around, are shown by their number. Nothing here ever makes markup.
 */

const UNSEEN = new RegExp(
  [
    "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f]", // controls, but tab and newline
    "[\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e]", // soft hyphen, joiners and fillers
    "[\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f]", // zero width, marks of direction, separators
    "[\\u3164\\ufeff\\uffa0\\ufff9-\\ufffb]", // fillers, byte order mark, annotations
    "(?<![^\\u0000-\\u007f])[\\u200c\\u200d]", // joiners, where no script needs them
    "[\\ud800-\\udfff]", // half a character
    "[\\u{e0000}-\\u{e0fff}]", // tags
  ].join("|"),
  "gu",
);

/** @returns {string} Such as U+202E. */
function numberOf(character) {
  return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/**
 * @param {string} text
 * @returns {{text: string, isMark: boolean}[]} The text in pieces; those that are marks hold the number of a character.
 */
export function pieces(text) {
  const found = [];
  let from = 0;
  for (const match of text.matchAll(UNSEEN)) {
    if (match[0] === "\r" && text[match.index + 1] === "\n") {
      found.push({ text: text.slice(from, match.index), isMark: false });
    } else {
      found.push({ text: text.slice(from, match.index), isMark: false }, { text: numberOf(match[0]), isMark: true });
    }
    from = match.index + match[0].length;
  }
  found.push({ text: text.slice(from), isMark: false });
  return found.filter((piece) => piece.text !== "");
}

/** @returns {string} The same on one line, for a canvas, a title or a label. */
export function plain(text) {
  return pieces(text)
    .map((piece) => (piece.isMark ? `\u27e8${piece.text}\u27e9` : piece.text))
    .join("")
    .replace(/\s+/g, " ")
    .trim();
}

/** @returns {string} An answer on one line where no formula can be drawn: 9/2 for \frac{9}{2}. */
export function flat(answer) {
  return plain(answer)
    .replace(/\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}/g, "$1/$2")
    .replace(/\\(?:text|mathrm|mathbf)\s*\{([^{}]*)\}/g, "$1")
    .replace(/\\(?:left|right)(?![a-zA-Z])|\\[,;!]/g, "");
}

/** @returns {string[]} The numbers of the characters in a text that cannot be seen, each once. */
export function unseen(text) {
  return [...new Set(pieces(text).flatMap((piece) => (piece.isMark ? [piece.text] : [])))];
}

/** @returns {string} At most `length` characters of it. */
export function short(text, length) {
  const whole = [...plain(text.slice(0, length * 4))];
  return whole.length > length ? `${whole.slice(0, length - 1).join("")}\u2026` : whole.join("");
}
