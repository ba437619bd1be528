/**
 * The colour of a score: cividis, whose lightness grows evenly and which looks alike to the colour-blind.
 *
 * Source: Nunez, Anderton, Renslow 2018, "Optimizing colormaps with consideration for color vision deficiency".
 */

const CIVIDIS = [
  [0, 34, 78],
  [18, 53, 112],
  [59, 73, 108],
  [87, 93, 109],
  [112, 113, 115],
  [138, 134, 120],
  [165, 156, 116],
  [195, 179, 105],
  [225, 204, 85],
  [253, 234, 69],
];

/** How many different colours a score may have; few, so that a canvas can draw all of one colour at once. */
export const SHADES = 20;

/** @returns {number} Which of the shades a score has; -1 for none. */
export function shadeOf(score) {
  return score == null ? -1 : Math.min(SHADES - 1, Math.floor(Math.max(0, Math.min(1, score)) * SHADES));
}

const colours = Array.from({ length: SHADES }, (_, shade) => mix((shade + 0.5) / SHADES));

function mix(score) {
  const place = score * (CIVIDIS.length - 1);
  const low = Math.floor(place);
  const share = place - low;
  const [one, other] = [CIVIDIS[low], CIVIDIS[Math.min(low + 1, CIVIDIS.length - 1)]];
  return one.map((value, channel) => Math.round(value + (other[channel] - value) * share));
}

/** @returns {string} Of a shade, for CSS and canvas. */
export function colourOf(shade) {
  return shade < 0 ? "transparent" : `rgb(${colours[shade].join(" ")})`;
}

/** @returns {boolean} Whether white text is read better on a shade than black. */
export function isDark(shade) {
  if (shade < 0) return false;
  const [red, green, blue] = colours[shade];
  return 0.299 * red + 0.587 * green + 0.114 * blue < 120;
}
