/**
 * The color map of spectrograms and matrices. Its stops stand in playground.css (--map-0 to --map-4), once for light
 * and once for dark pages, so that silence is always the color of the paper.
 */

const STOPS = 5;
const SHADES = 256;

/**
 * @param {Element} element - whose theme counts
 * @returns {Uint32Array} 256 opaque pixels for an ImageData, from the least to the most
 */
export function colorMap(element) {
  const stops = Array.from({ length: STOPS }, (_, i) => color(element, `--map-${i}`).match(/\d+/g).map(Number));
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

/** A color of the style sheet by its name, such as "--accent", as "rgb(143, 23, 101)": what the theme makes of it. */
export function color(element, name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  element.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
