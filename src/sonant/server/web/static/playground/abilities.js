/**
 * What some models can do besides: label recordings, write down words, tell who speaks when, compare two voices, take
 * noise away, separate speakers.
 */

import { Labels } from "./labels.js";
import { formSnippets, transcriptionSnippets } from "./snippets.js";
import { Sources } from "./sources.js";
import { Transcript } from "./transcript.js";
import { Turns } from "./turns.js";

const CLASSIFICATION = "/v1/audio/classifications";
const VERIFICATION = "/v1/audio/speaker/verification";
const DIARIZATION = "/v1/audio/diarizations";
const ENHANCEMENT = "/v1/audio/enhancements";
const SEPARATION = "/v1/audio/separations";
const VIEWS = {
  classification: Labels,
  transcription: Transcript,
  diarization: Turns,
  enhancement: Sources,
  separation: Sources,
};

export class Abilities {
  /**
   * @param {ParentNode} page - with a [data-section] for abilities
   * @param {{A: Slot, B: Slot}} slots
   * @param {{facts: object, call: Function, busy: Function, tell: Function}} tools - the page's facts; how it calls the
   *   API, works behind a button, and shows a call as code
   */
  constructor(page, slots, { facts, call, busy, tell }) {
    Object.assign(this, { slots: Object.values(slots), call, busy, tell, mayCall: facts.may_call });
    this.model = facts.model.id;
    this.baseUrl = facts.base_url;
    this.sections = new Map();
    const works = {
      classification: (section) => this._classify(section),
      transcription: (section) => this._transcribe(section),
      diarization: (section) => this._diarize(section),
      verification: (section) => this._verify(section),
      enhancement: (section) => this._enhance(section),
      separation: (section) => this._separate(section),
    };
    for (const [name, work] of Object.entries(works)) {
      const place = page.querySelector(`[data-section=${name}]`);
      const button = place?.querySelector("[data-part=run]");
      if (!button) continue; // the model lacks this ability
      const section = { place, button, views: this._views(name, place), shown: [] };
      this.sections.set(name, section);
      button.addEventListener("click", () => busy(button, place, () => work(section)));
    }
  }

  /** Take away what is of recordings that are gone, and offer what there are recordings for. */
  refresh() {
    const filled = this.slots.filter((slot) => slot.file);
    for (const [name, { place, button, views, shown }] of this.sections) {
      for (const view of views) if (view.file !== view.slot.file) view.clear();
      button.disabled = !this.mayCall || filled.length < (name === "verification" ? 2 : 1);
      const stale = this.slots.some((slot, i) => slot.file !== shown[i]);
      if (name === "verification" && stale) place.querySelector("[data-part=verdict]").textContent = "";
    }
  }

  /** The recording of a slot has come so far. */
  move(slot, seconds) {
    for (const { views } of this.sections.values()) {
      for (const view of views) if (view.slot === slot) view.move(seconds);
    }
  }

  /** Draw again what a new size or theme has changed. */
  redraw() {
    for (const { views } of this.sections.values()) for (const view of views) view.redraw?.();
  }

  _views(name, place) {
    const View = VIEWS[name];
    if (!View) return [];
    return this.slots.map((slot) => new View(place.querySelector(`[data-part=of-${slot.letter}]`), slot));
  }

  async _classify({ views }) {
    for (const view of views.filter(({ slot }) => slot.file)) {
      const { file } = view.slot;
      const { data } = await this.call(`Labels of ${view.slot.letter}`, CLASSIFICATION, this._form({ file }));
      view.show(file, data[0]);
    }
    this.tell(formSnippets(this.baseUrl, this.model, CLASSIFICATION, ["file"]));
  }

  async _transcribe({ views }) {
    for (const view of views.filter(({ slot }) => slot.file)) {
      const { file } = view.slot;
      const form = this._form({ file, response_format: "verbose_json", "timestamp_granularities[]": "word" });
      view.show(file, await this.call(`Transcript of ${view.slot.letter}`, "/v1/audio/transcriptions", form));
    }
    this.tell(transcriptionSnippets(this.baseUrl, this.model));
  }

  async _diarize({ place, views }) {
    const number = place.querySelector("[data-part=num-speakers]").value;
    const options = number ? { num_speakers: number } : {};
    for (const view of views.filter(({ slot }) => slot.file)) {
      const { file } = view.slot;
      const { segments } = await this.call(`Speakers of ${view.slot.letter}`, DIARIZATION, this._form({ file, ...options }));
      view.show(file, segments);
    }
    this.tell(formSnippets(this.baseUrl, this.model, DIARIZATION, ["file"], options));
  }

  async _enhance({ views }) {
    await this._listen(views, "Speech", ENHANCEMENT);
    this.tell(formSnippets(this.baseUrl, this.model, ENHANCEMENT, ["file"], {}, "clean.wav"));
  }

  async _separate({ views }) {
    await this._listen(views, "Speakers", SEPARATION);
    const options = { response_format: "wav" };
    this.tell(formSnippets(this.baseUrl, this.model, SEPARATION, ["file"], options, "speakers.wav"));
  }

  /** Ask for recordings of each recording, and show them. */
  async _listen(views, what, path) {
    for (const view of views.filter(({ slot }) => slot.file)) {
      const { file } = view.slot;
      const form = this._form({ file, response_format: "json" });
      const { data } = await this.call(`${what} of ${view.slot.letter}`, path, form);
      await view.show(file, data);
    }
  }

  async _verify(section) {
    const [file, reference] = this.slots.map((slot) => slot.file);
    const answer = await this.call("A and B, same voice?", VERIFICATION, this._form({ file, reference }));
    section.shown = [file, reference];
    section.place.querySelector("[data-part=verdict]").textContent = verdict(answer);
    this.tell(formSnippets(this.baseUrl, this.model, VERIFICATION, ["file", "reference"]));
  }

  _form(fields) {
    const form = new FormData();
    form.append("model", this.model);
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    return form;
  }
}

function verdict({ score, threshold, same_speaker }) {
  if (threshold === null) {
    return `The score is ${score.toFixed(3)}. From which score on it is one voice has not been measured for this model.`;
  }
  const answer = same_speaker ? "Yes, it seems to be the same voice" : "No, these seem to be two voices";
  return `${answer}: the score is ${score.toFixed(3)}, the threshold ${threshold.toFixed(3)}.`;
}
