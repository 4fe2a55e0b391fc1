/** The picture of a recording's samples: the least and the greatest of each column. */

import { color } from "./colors.js";
import { clock } from "./picture.js";

const HEIGHT = 70; // of the plot

/**
 * @param {Float32Array} samples
 * @returns {{lows: Float32Array, highs: Float32Array}} of so many columns
 */
export function extremes(samples, columns) {
  const lows = new Float32Array(columns);
  const highs = new Float32Array(columns);
  for (let column = 0; column < columns; column++) {
    const from = Math.floor((column * samples.length) / columns);
    const to = Math.max(from + 1, Math.floor(((column + 1) * samples.length) / columns));
    let low = Infinity;
    let high = -Infinity;
    for (let i = from; i < to && i < samples.length; i++) {
      if (samples[i] < low) low = samples[i];
      if (samples[i] > high) high = samples[i];
    }
    lows[column] = low;
    highs[column] = high;
  }
  return { lows, highs };
}

/** Draw it, and say in words how loud the recording is. */
export function drawWaveform(picture, samples, samplingRate) {
  const seconds = samples.length / samplingRate;
  picture.begin(HEIGHT);
  const { context, plot } = picture;
  const columns = Math.max(1, Math.round(plot.width));
  const { lows, highs } = extremes(samples, columns);
  const peak = Math.max(...highs, ...lows.map((low) => -low));
  const reach = [0.05, 0.1, 0.2, 0.5, 1].find((step) => peak <= step) ?? 1;
  picture.valueAxis([-1, 0, 1].map((at) => ({ at: (at + 1) / 2, label: String(at * reach) })), "amplitude");
  const middle = plot.top + plot.height / 2;
  const text = context.fillStyle;
  context.fillStyle = color(picture.frame, "--accent");
  for (let column = 0; column < columns; column++) {
    const top = middle - (Math.min(reach, highs[column]) / reach) * (plot.height / 2);
    const bottom = middle - (Math.max(-reach, lows[column]) / reach) * (plot.height / 2);
    context.fillRect(plot.left + column, top, 1, Math.max(1, bottom - top));
  }
  context.fillStyle = text;
  picture.timeAxis(seconds);
  const level = peak > 0 ? `${(20 * Math.log10(peak)).toFixed(0)} decibels below full scale` : "silent";
  picture.describe(`Waveform of ${clock(seconds)} seconds; its loudest moment is ${level.replace("-", "")}.`);
}
