/** The picture of a matrix of cosines: time runs down and across, the color is the cosine. */

import { colorMap } from "./colors.js";
import { clock, ticks } from "./picture.js";
import { quantile } from "./similarity.js";

const LOWEST = 80;
const HIGHEST = 520;

/**
 * @param {Float32Array} matrix - (rows, columns)
 * @param {{rows: number, columns: number, downSeconds: number, acrossSeconds: number, down: string, across: string,
 *   subject: string}} about - its size, what its edges stand for, and what to call it
 * @returns {{low: number, high: number}} the cosines that have the first and the last color
 */
export function drawMatrix(picture, matrix, about) {
  const { rows, columns, downSeconds, acrossSeconds } = about;
  const plotHeight = Math.max(LOWEST, Math.min(HIGHEST, (picture.plotWidth * downSeconds) / acrossSeconds));
  picture.begin(plotHeight);
  const low = quantile(matrix, 0.02);
  const high = Math.max(low + 0.01, quantile(matrix, 0.995));
  const map = colorMap(picture.frame);
  const pixels = new Uint32Array(rows * columns);
  for (let i = 0; i < matrix.length; i++) {
    pixels[i] = map[Math.round(255 * Math.max(0, Math.min(1, (matrix[i] - low) / (high - low))))];
  }
  picture.image(pixels, columns, rows);
  const marks = ticks(downSeconds, Math.max(2, plotHeight / 50));
  picture.valueAxis(marks.map((tick) => ({ at: 1 - tick / downSeconds, label: clock(tick) })), about.down);
  picture.timeAxis(acrossSeconds, about.across);
  picture.describe(
    `${about.subject}: ${rows} by ${columns} cosines, from ${low.toFixed(2)} to ${high.toFixed(2)}, ` +
      `half of them above ${quantile(matrix, 0.5).toFixed(2)}.`,
  );
  return { low, high };
}
