/** Plays one recording at a time, and says where it is, so that every picture can move its cursor. */

import { SAMPLING_RATE } from "./audio.js";
import { clock } from "./picture.js";
import { encodeWav } from "./wav.js";

let playing = null; // of all players of the page

export class Player {
  /**
   * @param {HTMLElement} controls - with a `button`, an `input[type=range]` and an `output`
   * @param {(seconds: number) => void} onMove
   */
  constructor(controls, onMove) {
    this.button = controls.querySelector("button");
    this.slider = controls.querySelector("input");
    this.time = controls.querySelector("output");
    this.onMove = onMove;
    this.audio = new Audio();
    this.duration = 0;
    this.button.addEventListener("click", () => (this.audio.paused ? this.play() : this.audio.pause()));
    this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
    this.audio.addEventListener("play", () => this._tell());
    this.audio.addEventListener("pause", () => this._tell());
    this.audio.addEventListener("ended", () => this.seek(0));
    this.audio.addEventListener("seeked", () => this._move());
  }

  /** Take a recording: what is heard is what the pictures show. */
  load(samples) {
    this.unload();
    this.audio.src = URL.createObjectURL(new Blob([encodeWav(samples, SAMPLING_RATE)], { type: "audio/wav" }));
    this.duration = samples.length / SAMPLING_RATE;
    this.slider.max = String(this.duration);
    this._move();
  }

  unload() {
    this.audio.pause();
    if (this.audio.src) URL.revokeObjectURL(this.audio.src);
    this.audio.removeAttribute("src");
    this.duration = 0;
  }

  async play() {
    if (playing && playing !== this) playing.audio.pause();
    playing = this;
    await this.audio.play();
  }

  seek(seconds) {
    this.audio.currentTime = Math.max(0, Math.min(this.duration, seconds));
    this._move();
  }

  _tell() {
    const verb = this.audio.paused ? "Play" : "Pause";
    this.button.firstChild.textContent = verb;
    if (!this.audio.paused) this._follow();
  }

  _follow() {
    if (this.audio.paused) return;
    this._move();
    requestAnimationFrame(() => this._follow());
  }

  _move() {
    const seconds = this.audio.currentTime;
    this.slider.value = String(seconds);
    this.slider.setAttribute("aria-valuetext", `${seconds.toFixed(1)} of ${this.duration.toFixed(1)} seconds`);
    this.time.textContent = `${clock(Number(seconds.toFixed(1)))} / ${clock(Number(this.duration.toFixed(1)))} s`;
    this.onMove(seconds);
  }
}
