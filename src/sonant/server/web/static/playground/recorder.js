/** The microphone: samples as they come, until somebody stops. */

import { resampled, SAMPLING_RATE } from "./audio.js";

const CAPTURE = new URL("./capture.js", import.meta.url);

/** Why a browser does not give the microphone, by the name of its exception, and what to do. */
const REFUSALS = {
  NotAllowedError: "The microphone was refused. Allow it for this site in the browser's settings, and record again.",
  NotFoundError: "No microphone was found. Connect one, or choose a file.",
  NotReadableError: "Another program holds the microphone. Close it, and record again.",
};

export class Recorder {
  /** @param {(level: number, seconds: number) => void} onLevel - how loud the last tenth of a second was, 0 to 1 */
  constructor(onLevel) {
    this.onLevel = onLevel;
    this.blocks = [];
    this.length = 0;
  }

  /** Ask for the microphone and begin. Throws an Error whose message is for the user. */
  async start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("Browsers give the microphone to pages by https or on localhost only. Choose a file instead.");
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    } catch (error) {
      throw new Error(REFUSALS[error.name] ?? `The microphone cannot be used: ${error.message}`, { cause: error });
    }
    this.context = new AudioContext();
    try {
      await this.context.audioWorklet.addModule(CAPTURE);
    } catch (error) {
      this._release();
      throw new Error(`This browser cannot record: ${error.message} Choose a file instead.`, { cause: error });
    }
    const capture = new AudioWorkletNode(this.context, "capture", { numberOfOutputs: 0 });
    capture.port.onmessage = ({ data }) => this._take(data);
    this.context.createMediaStreamSource(this.stream).connect(capture);
  }

  /** End, and let go of the microphone. @returns {Promise<Float32Array>} mono, at SAMPLING_RATE */
  async stop() {
    const rate = this.context.sampleRate;
    await this._release();
    const samples = new Float32Array(this.length);
    let at = 0;
    for (const block of this.blocks) {
      samples.set(block, at);
      at += block.length;
    }
    return resampled(samples, rate, SAMPLING_RATE);
  }

  _release() {
    this.stream.getTracks().forEach((track) => track.stop());
    return this.context.close();
  }

  _take(block) {
    this.blocks.push(block);
    this.length += block.length;
    const peak = block.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    this.onLevel(peak, this.length / this.context.sampleRate);
  }
}
