/** The playground: two recordings, and what a model makes of them. The page's facts stand in #playground-data. */

import { Abilities } from "./abilities.js";
import { Api, ApiFailure } from "./api.js";
import { Comparison } from "./comparison.js";
import { downloadButtons } from "./download.js";
import { FramesView } from "./frames.js";
import { Ledger, money } from "./ledger.js";
import { Slot } from "./slot.js";
import { embeddingSnippets } from "./snippets.js";
import { States } from "./states.js";

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
const abilities = model && new Abilities(document, slots, { facts, call, busy, tell });

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
  frames.refresh();
  abilities.refresh();
  part("results", section("comparison")).hidden = !both() || !comparison.shows(slots.A, slots.B);
  part("waiting", section("comparison")).hidden = both() && comparison.shows(slots.A, slots.B);
  comparison.draw();
  const here = filled().filter((slot) => states.has(slot, frames.layer));
  part("downloads").hidden = !here.length;
  part("vectors").replaceChildren(
    ...here.flatMap((slot) => downloadButtons(slot, states.at(slot, frames.layer), frames.layer, model)),
  );
  const lacking = filled().filter((slot) => !states.has(slot, frames.layer));
  const compare = both() && !comparison.shows(slots.A, slots.B);
  const button = part("analyze");
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

function move(slot, seconds) {
  frames?.move(slot, seconds);
  abilities?.move(slot, seconds);
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
async function analyze() {
  if (part("analyze").hasAttribute("data-idle")) return;
  await busy(part("analyze"), section("embed"), async () => {
    for (const slot of filled()) if (!states.has(slot, frames.layer)) await states.fetch(slot, frames.layer);
    tell(embeddingSnippets(facts.base_url, model.id, { layer: frames.layer, output: "frames" }));
    if (both() && !comparison.shows(slots.A, slots.B)) await comparison.show(slots.A, slots.B);
  });
}

/** Show a call as code. */
function tell({ curl, javascript, python }) {
  part("curl").textContent = curl;
  part("javascript").textContent = javascript;
  part("python").textContent = python ?? "# OpenAI's client has no method for this call: use curl, or any HTTP client.";
  part("code").hidden = false;
}

/** Redraw what a new size or theme has changed. */
function redraw() {
  for (const slot of Object.values(slots)) slot.redraw();
  frames?.draw();
  comparison?.draw();
  abilities?.redraw();
}

let scheduled = 0;
function redrawSoon() {
  cancelAnimationFrame(scheduled);
  scheduled = requestAnimationFrame(redraw);
}

if (model) part("analyze").addEventListener("click", analyze);
window.addEventListener("resize", redrawSoon);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawSoon);
new MutationObserver(redrawSoon).observe(document.documentElement, { attributeFilter: ["data-theme"] });
document.documentElement.dataset.playground = "ready";
refresh();
