/** Recordings that the model made of one: the speech without noise, or each speaker. To hear, to see, to take along. */

import { asBytes } from "./api.js";
import { decode, SAMPLING_RATE } from "./audio.js";
import { Picture } from "./picture.js";
import { Player } from "./player.js";
import { drawWaveform } from "./waveform.js";

export class Sources {
  /** @param {HTMLElement} place @param {{letter: string}} slot */
  constructor(place, slot) {
    this.place = place;
    this.slot = slot;
    this.file = null;
    this.sources = [];
  }

  clear() {
    for (const source of this.sources) source.forget();
    this.sources = [];
    this.file = null;
    this.place.replaceChildren();
  }

  /**
   * @param {File} file - that they are of
   * @param {{speaker?: string, audio: {data: string}}[]} items - of the API's JSON
   */
  async show(file, items) {
    this.clear();
    this.file = file;
    const stem = file.name.replace(/\.\w+$/, "");
    for (const { speaker, audio } of items) {
      const blob = new Blob([asBytes(audio.data)], { type: "audio/wav" });
      const title = speaker ?? "Speech";
      const source = new Source(title, `${title} of ${this.slot.letter}`, `${stem}-${speaker ?? "speech"}.wav`, blob);
      this.sources.push(source);
      this.place.append(source.element);
      await source.load();
    }
  }

  redraw() {
    for (const source of this.sources) source.redraw();
  }

  move() {} // each has a player of its own
}

class Source {
  constructor(title, name, fileName, blob) {
    this.blob = blob;
    this.element = document.getElementById("source").content.firstElementChild.cloneNode(true);
    const part = (of) => this.element.querySelector(`[data-part=${of}]`);
    part("title").textContent = title;
    for (const hidden of this.element.querySelectorAll("[data-part=of]")) hidden.textContent = ` ${name}`;
    part("player").querySelector("input").setAttribute("aria-label", `Position in ${name}`);
    this.link = part("download");
    this.link.href = URL.createObjectURL(blob);
    this.link.download = fileName;
    this.picture = new Picture(part("waveform"));
    this.player = new Player(part("player"), (seconds) => this._move(seconds));
    this.picture.onPick((across) => this.player.seek(across * this.player.duration));
  }

  /** Estimates may reach beyond full scale, which players cut off: what is heard and drawn is made to fit. */
  async load() {
    const samples = await decode(this.blob);
    if (!samples) return;
    let peak = 1;
    for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
    this.samples = peak > 1 ? samples.map((sample) => sample / peak) : samples;
    this.player.load(this.samples);
    this.redraw();
  }

  redraw() {
    if (!this.samples || !this.element.offsetWidth) return;
    drawWaveform(this.picture, this.samples, SAMPLING_RATE);
    this._move(this.player.audio.currentTime);
  }

  forget() {
    this.player.unload();
    URL.revokeObjectURL(this.link.href);
  }

  _move(seconds) {
    if (this.player.duration) this.picture.moveCursor("across", seconds / this.player.duration);
  }
}
