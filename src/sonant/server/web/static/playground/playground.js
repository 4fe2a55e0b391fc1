/** The playground: two recordings, and what a model makes of them. The page's facts stand in #playground-data. */

import { Api, ApiFailure } from "./api.js";
import { Comparison } from "./comparison.js";
import { FramesView } from "./frames.js";
import { Ledger, money } from "./ledger.js";
import { Slot } from "./slot.js";
import { embeddingSnippets, formSnippet, transcriptionSnippets } from "./snippets.js";
import { States } from "./states.js";
import { Transcript } from "./transcript.js";
import { Turns } from "./turns.js";

const facts = JSON.parse(document.getElementById("playground-data").textContent);
const { model } = facts;
const api = new Api(facts.csrf_token);
const section = (name) => document.querySelector(`[data-section=${name}]`);
const part = (name, within = document) => within.querySelector(`[data-part=${name}]`);
const ledger = new Ledger(part("calls"), part("total"), facts.currency);

const slots = {};
const told = { onChange: () => refresh(), onMove: (slot, seconds) => move(slot, seconds) };
for (const card of document.querySelectorAll(".slot")) {
  slots[card.dataset.slot] = new Slot(card, { maxSeconds: facts.max_seconds, maxBytes: facts.max_bytes }, told);
}
const filled = () => Object.values(slots).filter((slot) => slot.file);
const both = () => filled().length === 2;

const states = model && new States(embed, model);
const comparison = model && new Comparison(section("comparison"), states, embed, model);
const frames = model && new FramesView(section("frames"), states, slots, model, () => refresh());
const transcripts = views("transcription", Transcript);
const turns = views("diarization", Turns);

/** One view a slot of a section; none where the model lacks the ability. */
function views(name, View) {
  if (!model?.abilities.includes(name)) return [];
  return Object.values(slots).map((slot) => new View(part(`of-${slot.letter}`, section(name)), slot));
}

async function embed(name, body) {
  return call(name, "/v1/embeddings", { model: model.id, ...body });
}

async function call(name, path, body) {
  const outcome = await api.post(path, body);
  ledger.add(name, outcome);
  return outcome.answer;
}

/** Everything that depends on which recordings there are. */
function refresh() {
  if (!model) return;
  states.keepOnly(filled().map((slot) => slot.file));
  if (!both() || !comparison.shows(slots.A, slots.B)) comparison.clear();
  for (const view of [...transcripts, ...turns]) if (view.file !== view.slot.file) view.clear();
  frames.refresh();
  for (const name of ["transcription", "diarization", "verification"]) offer(name);
  part("results", section("comparison")).hidden = !both() || !comparison.shows(slots.A, slots.B);
  part("waiting", section("comparison")).hidden = both() && comparison.shows(slots.A, slots.B);
  comparison.draw();
  if (part("verdict")) part("verdict").textContent = "";
  const lacking = filled().filter((slot) => !states.has(slot, frames.layer));
  const compare = both() && !comparison.shows(slots.A, slots.B);
  const button = part("analyse");
  const idle = !facts.may_call || !(lacking.length || compare);
  button.toggleAttribute("data-idle", idle);
  button.setAttribute("aria-disabled", String(idle));
  const names = (lacking.length ? lacking : filled()).map((slot) => slot.letter).join(" and ");
  button.textContent = lacking.length ? `Embed ${names}` : compare ? "Compare A and B" : filled().length ? "Embedded" : "Embed";
  part("estimate").textContent = idle ? "" : estimate(lacking, compare);
}

/** What pressing the button will cost, as far as the lengths are known. */
function estimate(lacking, compare) {
  const again = compare && !(filled().every((slot) => slot.seconds !== null && states.allAtOnce(slot.seconds)));
  const charged = [...lacking, ...(again ? filled() : [])].map((slot) => slot.seconds);
  if (charged.includes(null)) return "";
  const seconds = charged.reduce((sum, each) => sum + each, 0);
  const price =
    (seconds * Number(model.price.per_audio_hour)) / 3600 +
    (seconds * model.frame_rate * Number(model.price.per_million_tokens)) / 1e6;
  return facts.is_charged && price ? `about ${money(price.toPrecision(2), facts.currency)}` : "";
}

/** A button of a section can be pressed where there are recordings for it. */
function offer(name) {
  const button = section(name) && part("run", section(name));
  if (button) button.disabled = !facts.may_call || (name === "verification" ? !both() : !filled().length);
}

function move(slot, seconds) {
  frames?.move(slot, seconds);
  for (const view of [...transcripts, ...turns]) if (view.slot === slot) view.move(seconds);
}

/** Do work behind a button: one at a time, with errors told beside it. */
async function busy(button, place, work) {
  if (button.dataset.working) return;
  const problem = part("problem", place);
  problem.hidden = true;
  button.dataset.working = "yes";
  button.setAttribute("aria-disabled", "true"); // not `disabled`, which would lose the keyboard's place
  place.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ApiFailure)) console.error(error);
    problem.textContent = error instanceof ApiFailure ? error.words : `The answer could not be shown: ${error.message}`;
    problem.hidden = false;
  } finally {
    delete button.dataset.working;
    button.removeAttribute("aria-disabled");
    place.removeAttribute("aria-busy");
    refresh();
  }
}

/** Ask for what the chosen layer and pair lack, and compare if there are two. */
async function analyse() {
  if (part("analyse").hasAttribute("data-idle")) return;
  await busy(part("analyse"), section("embed"), async () => {
    for (const slot of filled()) if (!states.has(slot, frames.layer)) await states.fetch(slot, frames.layer);
    tell(embeddingSnippets(facts.base_url, model.id, { layer: frames.layer, output: "frames" }));
    if (both() && !comparison.shows(slots.A, slots.B)) await comparison.show(slots.A, slots.B);
  });
}

async function transcribe() {
  await busy(part("run", section("transcription")), section("transcription"), async () => {
    for (const view of transcripts.filter(({ slot }) => slot.file)) {
      const { file } = view.slot;
      const form = asForm({ file, response_format: "verbose_json" });
      form.append("timestamp_granularities[]", "word");
      view.show(file, await call(`Transcript of ${view.slot.letter}`, "/v1/audio/transcriptions", form));
    }
    tell(transcriptionSnippets(facts.base_url, model.id));
  });
}

async function diarize() {
  const number = part("num-speakers").value;
  await busy(part("run", section("diarization")), section("diarization"), async () => {
    for (const view of turns.filter(({ slot }) => slot.file)) {
      const { file } = view.slot;
      const form = asForm(number ? { file, num_speakers: number } : { file });
      view.show(file, (await call(`Speakers of ${view.slot.letter}`, "/v1/audio/diarizations", form)).segments);
    }
    const options = number ? { num_speakers: number } : {};
    tell(formSnippet(facts.base_url, model.id, "/v1/audio/diarizations", ["file"], options));
  });
}

async function verify() {
  const place = section("verification");
  let verdict = "";
  await busy(part("run", place), place, async () => {
    const form = asForm({ file: slots.A.file, reference: slots.B.file });
    const { score, threshold, same_speaker } = await call("A and B, same voice?", "/v1/audio/speaker/verification", form);
    const answer = same_speaker ? "Yes, it seems to be the same voice" : "No, these seem to be two voices";
    verdict =
      threshold === null
        ? `The score is ${score.toFixed(3)}. From which score on it is one voice has not been measured for this model.`
        : `${answer}: the score is ${score.toFixed(3)}, the threshold ${threshold.toFixed(3)}.`;
    tell(formSnippet(facts.base_url, model.id, "/v1/audio/speaker/verification", ["file", "reference"]));
  });
  part("verdict").textContent = verdict;
}

function asForm(fields) {
  const form = new FormData();
  form.append("model", model.id);
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return form;
}

/** Show a call as code. */
function tell({ curl, python }) {
  part("curl").textContent = curl;
  part("python").textContent = python ?? "# OpenAI's client has no method for this call: use curl, or any HTTP client.";
  part("code").hidden = false;
}

/** Redraw what a new size or theme has changed. */
function redraw() {
  for (const slot of Object.values(slots)) slot.redraw();
  frames?.draw();
  comparison?.draw();
}

let scheduled = 0;
function redrawSoon() {
  cancelAnimationFrame(scheduled);
  scheduled = requestAnimationFrame(redraw);
}

if (model) {
  part("analyse").addEventListener("click", analyse);
  for (const [name, work] of Object.entries({ transcription: transcribe, diarization: diarize, verification: verify })) {
    const button = section(name) && part("run", section(name));
    button?.addEventListener("click", work);
  }
}
window.addEventListener("resize", redrawSoon);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawSoon);
new MutationObserver(redrawSoon).observe(document.documentElement, { attributeFilter: ["data-theme"] });
document.documentElement.dataset.playground = "ready";
refresh();
