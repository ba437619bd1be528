/**
 * Files of JSON lines, or of one JSON value, that somebody opens on the page: bounded, and read line by line.
 *
 * Knows nothing of what the lines mean.
 */

export const MAX_FILE_BYTES = 64 * 1024 * 1024;
export const MAX_FILES = 8;
const MAX_NESTING = 64; // deeper values would overflow what writes them again

/** Return the text of a file. Throws an Error that says in words why it cannot be used. */
export async function textOf(file) {
  if (file.size > MAX_FILE_BYTES) {
    throw new Error(
      `${file.name}: ${megabytes(file.size)} are too large; allowed: at most ${megabytes(MAX_FILE_BYTES)}`,
    );
  }
  try {
    const bytes = await file.arrayBuffer();
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Error(error instanceof TypeError ? `${file.name}: not text in UTF-8` : `${file.name} cannot be read`);
  }
}

/**
 * Yield [number, value or Error] of every line that holds something; a file may also be one JSON value on many lines.
 * A torn last line, as of a run that still writes, is left out.
 */
export function* readLines(text) {
  const whole = text.trimStart().startsWith("{\n") || text.trimStart().startsWith("{\r") ? parse(text) : null;
  if (whole && !(whole instanceof Error)) {
    yield [1, whole];
    return;
  }
  const lines = text.split("\n"); // texts may hold other line ends
  for (const [index, line] of lines.entries()) {
    const isTorn = index === lines.length - 1 && index > 0 && line.startsWith("{");
    if (!line.trim()) continue;
    const value = parse(line);
    if (isTorn && value instanceof Error) return;
    yield [index + 1, value];
  }
}

/** Return a JSON object, or the Error that says why it is none. */
function parse(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return new Error("not JSON");
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    return new Error("not an object; allowed: one JSON object a line");
  }
  return isDeep(value) ? new Error(`nested too deeply; allowed: ${MAX_NESTING} levels`) : value;
}

function isDeep(value) {
  let level = [value];
  for (let depth = 0; level.length; depth += 1) {
    if (depth === MAX_NESTING) return true;
    level = level.flatMap((each) => Object.values(each).filter((inner) => inner !== null && typeof inner === "object"));
  }
  return false;
}

export function megabytes(bytes) {
  return `${(bytes / 1024 / 1024).toFixed(bytes < 10 * 1024 * 1024 ? 1 : 0)} MB`;
}
