/** One of the two recordings: where it comes from, what it looks and sounds like. */

import { decode, SAMPLING_RATE } from "./audio.js";
import { clock, Picture } from "./picture.js";
import { Player } from "./player.js";
import { Recorder } from "./recorder.js";
import { drawSpectrogram, spectrogram } from "./spectrogram.js";
import { encodeWav } from "./wav.js";
import { drawWaveform } from "./waveform.js";

export class Slot {
  /**
   * @param {HTMLElement} card - the `.slot` of the page
   * @param {{maxSeconds: number, maxBytes: number}} limits - of the server
   * @param {{onChange: (slot: Slot) => void, onMove: (slot: Slot, seconds: number) => void}} told
   */
  constructor(card, limits, told) {
    this.card = card;
    this.letter = card.dataset.slot;
    this.limits = limits;
    this.told = told;
    this.file = null; // what is sent
    this.samples = null; // what is drawn and heard; null where the browser cannot decode the file
    this.recorder = null;
    this.scale = "mel";
    this.parts = Object.fromEntries(
      [...card.querySelectorAll("[data-part]")].map((element) => [element.dataset.part, element]),
    );
    this.waveform = new Picture(this.parts.waveform);
    this.spectrogram = new Picture(this.parts.spectrogram);
    this.player = new Player(this.parts.player, (seconds) => this._move(seconds));
    this._listen();
  }

  /** Of the recording; null while it is not known. */
  get seconds() {
    return this.samples ? this.samples.length / SAMPLING_RATE : null;
  }

  /** Take a recording. @param {File} file */
  async take(file) {
    this._complain("");
    if (file.size > this.limits.maxBytes) {
      const most = Math.round(this.limits.maxBytes / 2 ** 20);
      this._complain(`${file.name} has ${Math.ceil(file.size / 2 ** 20)} MiB; this server takes up to ${most} MiB.`);
      return;
    }
    if (!file.size) {
      this._complain(`${file.name} is empty.`);
      return;
    }
    this.latest = file;
    const samples = await decode(file);
    if (this.latest !== file) return; // another was taken meanwhile
    this.player.unload();
    this.file = file;
    this.samples = samples?.length ? samples : null;
    this._analyzed = this.samples && spectrogram(this.samples, SAMPLING_RATE);
    this.parts.name.textContent = file.name;
    this.parts.remove.hidden = false;
    this.parts.pictures.hidden = !this.samples;
    this.parts.invitation.hidden = true;
    this.parts.status.textContent = this.samples
      ? `${clock(Number(this.seconds.toFixed(1)))} seconds, ${size(file.size)}`
      : `${size(file.size)}. This browser cannot decode the file, so there are no pictures; the server may know it.`;
    if (this.samples) this.player.load(this.samples);
    this.redraw();
    this.told.onChange(this);
  }

  /** Forget the recording. */
  clear() {
    this.player.unload();
    this.file = this.samples = this.latest = null;
    this.parts.name.textContent = "No recording yet";
    this.parts.status.textContent = "";
    this.parts.remove.hidden = true;
    this.parts.pictures.hidden = true;
    this.parts.invitation.hidden = false;
    this.parts.example.value = "";
    this._complain("");
    this.told.onChange(this);
  }

  redraw() {
    if (!this.samples || !this.parts.pictures.offsetWidth) return;
    drawWaveform(this.waveform, this.samples, SAMPLING_RATE);
    drawSpectrogram(this.spectrogram, this._analyzed, SAMPLING_RATE, this.seconds, this.scale);
    this._move(this.player.audio.currentTime);
  }

  _listen() {
    const { record, file, example, remove, scale } = this.parts;
    record.addEventListener("click", () => this._record());
    file.addEventListener("change", () => {
      if (file.files.length) this.take(file.files[0]);
      file.value = ""; // so that the same file can be chosen again
    });
    example.addEventListener("change", () => example.value && this._takeExample(example.value));
    remove.addEventListener("click", () => {
      this.clear();
      record.focus();
    });
    scale.addEventListener("change", () => {
      this.scale = scale.value;
      this.redraw();
    });
    for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
      this.card.addEventListener(type, (event) => {
        event.preventDefault();
        this.card.classList.toggle("dropping", type === "dragenter" || type === "dragover");
        if (type === "drop" && event.dataTransfer.files.length) this.take(event.dataTransfer.files[0]);
      });
    }
    for (const picture of [this.waveform, this.spectrogram]) {
      picture.onPick((across) => this.player.seek(across * this.seconds));
    }
  }

  async _takeExample(address) {
    const response = await fetch(address);
    if (!response.ok) {
      this._complain(`The example could not be read: ${response.status} ${response.statusText}.`);
      return;
    }
    const name = new URL(response.url).pathname.split("/").at(-1);
    await this.take(new File([await response.blob()], name, { type: "audio/flac" }));
  }

  async _record() {
    const { record, status, elapsed, level } = this.parts;
    if (this.recorder) {
      await this._finishRecording();
      return;
    }
    this._complain("");
    const recorder = new Recorder((loudness, seconds) => {
      level.value = loudness;
      elapsed.textContent = `${seconds.toFixed(1)} s`;
      if (seconds >= this.limits.maxSeconds && this.recorder) this._finishRecording();
    });
    record.disabled = true;
    try {
      await recorder.start();
    } catch (error) {
      this._complain(error.message);
      return;
    } finally {
      record.disabled = false;
    }
    this.recorder = recorder;
    record.textContent = "Stop recording";
    record.classList.add("recording");
    status.textContent = "Recording.";
    level.hidden = elapsed.hidden = false;
  }

  async _finishRecording() {
    const { recorder } = this;
    const { record, status, elapsed, level } = this.parts;
    this.recorder = null;
    record.textContent = "Record";
    record.classList.remove("recording");
    status.textContent = "";
    level.hidden = elapsed.hidden = true;
    const samples = await recorder.stop();
    if (!samples.length) {
      this._complain("Nothing was recorded. Record a little longer.");
      return;
    }
    const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "");
    await this.take(new File([encodeWav(samples, SAMPLING_RATE)], `recording-${time}.wav`, { type: "audio/wav" }));
  }

  _move(seconds) {
    if (!this.samples) return;
    for (const picture of [this.waveform, this.spectrogram]) picture.moveCursor("across", seconds / this.seconds);
    this.told.onMove(this, seconds);
  }

  _complain(words) {
    this.parts.problem.textContent = words;
    this.parts.problem.hidden = !words;
  }
}

function size(bytes) {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
