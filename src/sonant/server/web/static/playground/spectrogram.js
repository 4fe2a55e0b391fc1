/** The picture of a recording's frequencies: power in decibels, on a linear or a mel axis. */

import { colorMap } from "./colors.js";
import { Fourier } from "./fourier.js";
import { clock, ticks } from "./picture.js";

const HEIGHT = 170; // of the plot
const WINDOW_SECONDS = 0.025;
const STEP_SECONDS = 0.01;
const MOST_COLUMNS = 2400;
const RANGE_DECIBELS = 70;
const LOUDEST_SHARE = 0.995; // of all points; the few above it are drawn as this one

/** @returns {number} mel of hertz, by O'Shaughnessy's formula */
export function mel(hertz) {
  return 2595 * Math.log10(1 + hertz / 700);
}

/** @returns {number} hertz of mel */
export function hertz(mels) {
  return 700 * (10 ** (mels / 2595) - 1);
}

/**
 * Decibels of each bin of each frame: Hann windows of 25 ms every 10 ms, or further apart in long recordings.
 * @returns {{decibels: Float32Array, columns: number, bins: number}} decibels: (columns, bins)
 */
export function spectrogram(samples, samplingRate) {
  const width = Math.round(WINDOW_SECONDS * samplingRate);
  const step = Math.max(Math.round(STEP_SECONDS * samplingRate), Math.ceil(samples.length / MOST_COLUMNS));
  const size = 2 ** Math.ceil(Math.log2(width));
  const bins = size / 2 + 1;
  const columns = Math.max(1, Math.ceil(samples.length / step));
  const fourier = new Fourier(size);
  const frame = new Float32Array(size);
  const power = new Float32Array(bins);
  const hann = Float32Array.from({ length: width }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / width));
  const decibels = new Float32Array(columns * bins);
  for (let column = 0; column < columns; column++) {
    const start = Math.round(column * step + step / 2 - width / 2); // centered on the column
    for (let i = 0; i < width; i++) frame[i] = (samples[start + i] ?? 0) * hann[i];
    fourier.power(frame, power);
    for (let bin = 0; bin < bins; bin++) decibels[column * bins + bin] = 10 * Math.log10(power[bin] + 1e-10);
  }
  return { decibels, columns, bins };
}

/**
 * @param {{decibels: Float32Array, columns: number, bins: number}} analyzed - what `spectrogram` returned
 * @param {"mel"|"linear"} scale - of the frequency axis
 */
export function drawSpectrogram(picture, analyzed, samplingRate, seconds, scale) {
  const { decibels, columns, bins } = analyzed;
  const nyquist = samplingRate / 2;
  const toShare = scale === "mel" ? (value) => mel(value) / mel(nyquist) : (value) => value / nyquist;
  const fromShare = scale === "mel" ? (share) => hertz(share * mel(nyquist)) : (share) => share * nyquist;
  picture.begin(HEIGHT);
  const rows = Math.round(picture.plot.height);
  const pixels = new Uint32Array(rows * columns);
  const map = colorMap(picture.frame);
  const loudest = Float32Array.from(decibels).sort()[Math.floor(LOUDEST_SHARE * (decibels.length - 1))];
  for (let row = 0; row < rows; row++) {
    const place = (fromShare(1 - (row + 0.5) / rows) / nyquist) * (bins - 1);
    const below = Math.min(bins - 2, Math.floor(place));
    for (let column = 0; column < columns; column++) {
      const at = column * bins + below;
      const level = decibels[at] + (decibels[at + 1] - decibels[at]) * (place - below);
      const share = Math.max(0, Math.min(1, 1 + (level - loudest) / RANGE_DECIBELS));
      pixels[row * columns + column] = map[Math.round(255 * share)];
    }
  }
  picture.image(pixels, columns, rows);
  const marks = scale === "mel" ? [250, 500, 1000, 2000, 4000] : ticks(nyquist / 1000, 5).map((khz) => 1000 * khz);
  const shown = [...new Set([...marks.filter((mark) => mark < nyquist), nyquist])];
  picture.valueAxis(shown.map((mark) => ({ at: toShare(mark), label: String(mark) })), "hertz");
  picture.timeAxis(seconds);
  picture.describe(
    `Spectrogram of ${clock(seconds)} seconds, 0 to ${nyquist} hertz on a ${scale} axis; ` +
      `most of the power lies near ${strongest(analyzed, nyquist)} hertz.`,
  );
}

/** The frequency with the greatest mean power, in hertz, to the nearest ten. */
function strongest({ decibels, columns, bins }, nyquist) {
  const totals = new Float64Array(bins);
  for (let i = 0; i < columns * bins; i++) totals[i % bins] += 10 ** (decibels[i] / 10);
  const bin = totals.indexOf(Math.max(...totals));
  return Math.round((bin / (bins - 1)) * (nyquist / 10)) * 10;
}
