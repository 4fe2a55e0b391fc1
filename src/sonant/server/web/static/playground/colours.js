/**
 * The colour map of spectrograms and matrices. Its stops stand in playground.css (--map-0 to --map-4), once for light
 * and once for dark pages, so that silence is always the colour of the paper.
 */

const STOPS = 5;
const SHADES = 256;

/**
 * @param {Element} element - whose theme counts
 * @returns {Uint32Array} 256 opaque pixels for an ImageData, from the least to the most
 */
export function colourMap(element) {
  const style = getComputedStyle(element);
  const stops = Array.from({ length: STOPS }, (_, i) => rgb(style.getPropertyValue(`--map-${i}`).trim()));
  const map = new Uint32Array(SHADES);
  const bytes = new Uint8ClampedArray(map.buffer);
  for (let shade = 0; shade < SHADES; shade++) {
    const place = (shade / (SHADES - 1)) * (STOPS - 1);
    const below = Math.min(STOPS - 2, Math.floor(place));
    for (let channel = 0; channel < 3; channel++) {
      const [from, to] = [stops[below][channel], stops[below + 1][channel]];
      bytes[4 * shade + channel] = from + (to - from) * (place - below);
    }
    bytes[4 * shade + 3] = 255;
  }
  return map;
}

/** A colour of the style sheet by its name, such as "--picture-line". */
export function colour(element, name) {
  return getComputedStyle(element).getPropertyValue(name).trim();
}

/** "#rrggbb" to three numbers. */
function rgb(hexadecimal) {
  const value = Number.parseInt(hexadecimal.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
