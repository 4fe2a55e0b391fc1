/** The matrices of cosines between frames, of the layer and the pair that are chosen. */

import { drawMatrix } from "./matrix.js";
import { Picture } from "./picture.js";
import { cosineMatrix, thinned } from "./similarity.js";

const MOST_ROWS = 512; // of a matrix; longer recordings have several frames in one

const WAITING_RECORDING = "Record or choose something to see its frames here.";
const WAITING_LAYER = "The frames of this layer have not been asked for yet: press Embed above.";

export class FramesView {
  /**
   * @param {HTMLElement} section
   * @param {import("./states.js").States} states
   * @param {{A: Slot, B: Slot}} slots
   * @param {{num_layers: number, tasks: {name: string, layer: number}[]}} model
   * @param {() => void} onChoice - another layer or pair was chosen; its states may not be here
   */
  constructor(section, states, slots, model, onChoice) {
    Object.assign(this, { states, slots, model, onChoice });
    const part = (name) => section.querySelector(`[data-part=${name}]`);
    this.slider = part("layer");
    this.layerName = part("layer-name");
    this.pairs = [...section.querySelectorAll("input[name=pair]")];
    this.shown = part("matrix");
    this.legend = { low: part("low"), high: part("high") };
    this.note = part("note");
    this.waiting = part("waiting");
    this.picture = new Picture(this.shown);
    this.layer = Number(this.slider.value);
    this.slider.addEventListener("input", () => this._slide());
    this.slider.addEventListener("change", () => this.onChoice());
    for (const pair of this.pairs) pair.addEventListener("change", () => this.onChoice());
    this.picture.onPick((across, down) => this._pick(across, down));
    this._nameLayer();
  }

  /** The slots whose frames run down and across. @returns {[Slot, Slot]} */
  get pair() {
    const letters = this.pairs.find((pair) => pair.checked)?.value ?? "AA";
    return [this.slots[letters[0]], this.slots[letters[1]]];
  }

  /** Whether a recording of the pair still has to be asked for. */
  get lacks() {
    return this.pair.some((slot) => slot.file && !this.states.has(slot, this.layer));
  }

  /** Offer the pairs that there are recordings for, and draw what is there. */
  refresh() {
    for (const pair of this.pairs) pair.disabled = ![...pair.value].every((letter) => this.slots[letter].file);
    if (this.pairs.find((pair) => pair.checked)?.disabled ?? true) {
      const first = this.pairs.find((pair) => !pair.disabled);
      if (first) first.checked = true;
    }
    this.draw();
  }

  draw() {
    const [down, across] = this.pair;
    const ready = down.file && across.file && !this.lacks;
    this.shown.hidden = !ready;
    this.waiting.hidden = Boolean(ready);
    this.waiting.textContent = this.slots.A.file || this.slots.B.file ? WAITING_LAYER : WAITING_RECORDING;
    this.legend.low.closest(".legend").hidden = !ready;
    this.note.textContent = "";
    if (!ready || !this.shown.offsetWidth) return;
    const [first, second] = [down, across].map((slot) => this._rows(slot));
    const matrix = cosineMatrix(first.frames, down === across ? first.frames : second.frames, this.model.dim);
    const { low, high } = drawMatrix(this.picture, matrix, {
      rows: first.rows,
      columns: second.rows,
      downSeconds: this._seconds(down, first),
      acrossSeconds: this._seconds(across, second),
      down: `${down.letter}, seconds`,
      across: `${across.letter}, seconds`,
      subject: `Frames of ${down.letter} against frames of ${across.letter} at layer ${this.layer}`,
    });
    this.legend.low.textContent = low.toFixed(2);
    this.legend.high.textContent = high.toFixed(2);
    const most = Math.max(first.perRow, second.perRow);
    this.note.textContent = most > 1 ? `Each point is the mean of ${most} neighboring frames.` : "";
    for (const slot of new Set([down, across])) this.move(slot, slot.player.audio.currentTime);
  }

  /** The recording of a slot has come so far. */
  move(slot, seconds) {
    if (this.shown.hidden) return;
    const [down, across] = this.pair;
    const share = Math.min(1, seconds / (slot.seconds || Infinity));
    if (slot === down) this.picture.moveCursor("down", share);
    if (slot === across) this.picture.moveCursor("across", share);
  }

  _rows(slot) {
    return thinned(this.states.at(slot, this.layer), this.model.dim, MOST_ROWS);
  }

  _seconds(slot, { rows, perRow }) {
    return slot.seconds ?? (rows * perRow) / this.model.frame_rate;
  }

  _pick(across, down) {
    const [first, second] = this.pair;
    first.player.seek(down * first.player.duration);
    second.player.seek(across * second.player.duration);
  }

  _slide() {
    this.layer = Number(this.slider.value);
    this._nameLayer();
    if (!this.lacks) this.draw();
  }

  _nameLayer() {
    const tasks = this.model.tasks.filter(({ layer }) => layer === this.layer).map(({ name }) => name);
    const input = this.layer === 0 ? " (the input of the first block)" : "";
    const serves = tasks.length ? ` (serves ${tasks.join(" and ")})` : "";
    this.layerName.textContent = `${this.layer} of ${this.model.num_layers}${input}${serves}`;
    this.slider.setAttribute("aria-valuetext", this.layerName.textContent);
  }
}
