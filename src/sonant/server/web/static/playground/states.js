/** Hidden states of the recordings, asked for once and kept: all layers at a time where they are small enough. */

import { asFloats, asInput } from "./api.js";
import { thinned } from "./similarity.js";

const MOST_BYTES_AT_ONCE = 24 * 2 ** 20; // of one answer with all layers of one recording

export class States {
  /**
   * @param {(name: string, body: object) => Promise<object>} embed - calls /v1/embeddings, returns its answer
   * @param {{num_layers: number, frame_rate: number, dim: number}} model
   */
  constructor(embed, model) {
    this.embed = embed;
    this.model = model;
    this.kept = new Map(); // file -> Map(layer -> frames)
  }

  /** Whether one call brings every layer of a recording of so many seconds (null: unknown, so taken as long). */
  allAtOnce(seconds) {
    const { num_layers, frame_rate, dim } = this.model;
    return seconds !== null && (num_layers + 1) * seconds * frame_rate * dim * 4 <= MOST_BYTES_AT_ONCE;
  }

  has(slot, layer) {
    return this.kept.get(slot.file)?.has(layer) ?? false;
  }

  /** @returns {Float32Array} (frames, dim) of one layer that is here */
  at(slot, layer) {
    return this.kept.get(slot.file).get(layer);
  }

  /** Whether every layer of a recording is here. */
  isComplete(slot) {
    return this.kept.get(slot.file)?.size === this.model.num_layers + 1;
  }

  /** @returns {Float32Array} (layers + 1, dim), the mean of the frames of every layer of a recording that is here */
  means(slot) {
    const { dim } = this.model;
    const means = new Float32Array((this.model.num_layers + 1) * dim);
    for (const [layer, values] of this.kept.get(slot.file)) means.set(thinned(values, dim, 1).frames, layer * dim);
    return means;
  }

  /** Ask for the frames of one layer, or of all of them. */
  async fetch(slot, layer) {
    const { file } = slot;
    const wanted = this.allAtOnce(slot.seconds) ? "all" : layer;
    const answer = await this.embed(`Frames of ${slot.letter}${wanted === "all" ? "" : `, layer ${layer}`}`, {
      input: await asInput(file),
      layer: wanted,
      output: "frames",
      encoding_format: "base64",
    });
    const values = asFloats(answer.data[0].embedding);
    const numbers = wanted === "all" ? Array.from({ length: this.model.num_layers + 1 }, (_, i) => i) : [layer];
    const each = values.length / numbers.length;
    const layers = this.kept.get(file) ?? new Map();
    numbers.forEach((number, i) => layers.set(number, values.subarray(i * each, (i + 1) * each)));
    this.kept.set(file, layers);
  }

  /** Keep only what belongs to these files. */
  keepOnly(files) {
    for (const file of this.kept.keys()) if (!files.includes(file)) this.kept.delete(file);
  }
}
