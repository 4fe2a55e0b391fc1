/** How alike two recordings are: the cosine of their mean vectors, layer by layer and for each task. */

import { asFloats, asInput } from "./api.js";
import { barChart } from "./chart.js";
import { cosine } from "./similarity.js";

export class Comparison {
  /**
   * @param {HTMLElement} section - with [data-part] chart and tasks
   * @param {import("./states.js").States} states
   * @param {(name: string, body: object) => Promise<object>} embed
   * @param {{tasks: {name: string, layer: number, why: string}[], num_layers: number, dim: number}} model
   */
  constructor(section, states, embed, model) {
    Object.assign(this, { states, embed, model });
    this.chart = section.querySelector("[data-part=chart]");
    this.tasks = section.querySelector("[data-part=tasks]");
    this.of = null; // the files that are shown
  }

  shows(a, b) {
    return this.of?.[0] === a.file && this.of?.[1] === b.file;
  }

  clear() {
    this.of = null;
    this.chart.replaceChildren();
    this.tasks.replaceChildren();
  }

  /** Whether a comparison takes a call of its own: the frames of all layers are not here. */
  takesCall(a, b) {
    return !(this.states.isComplete(a) && this.states.isComplete(b));
  }

  async show(a, b) {
    const files = [a.file, b.file];
    const [first, second] = this.takesCall(a, b) ? await this._ask(a, b) : [a, b].map((slot) => this.states.means(slot));
    const { dim, num_layers } = this.model;
    const at = (vectors, layer) => vectors.subarray(layer * dim, (layer + 1) * dim);
    const values = Array.from({ length: num_layers + 1 }, (_, layer) => cosine(at(first, layer), at(second, layer)));
    this.tasks.replaceChildren(...this.model.tasks.map((task) => row(task, values[task.layer])));
    this.values = values;
    this.of = files;
  }

  /** The bars, as wide as there is room. */
  draw() {
    if (!this.of || !this.chart.clientWidth) return;
    const named = new Set(this.model.tasks.map(({ layer }) => layer));
    this.chart.replaceChildren(barChart(this.chart.clientWidth, this.values, named, "Cosine of A and B by layer"));
  }

  /** @returns {Promise<Float32Array[]>} of both, (layers + 1, dim) */
  async _ask(a, b) {
    const answer = await this.embed("Means of A and B", {
      input: [await asInput(a.file), await asInput(b.file)],
      layer: "all",
      pooling: "mean",
      encoding_format: "base64",
    });
    return answer.data.map((item) => asFloats(item.embedding));
  }
}

function row({ name, layer, why }, value) {
  const line = document.createElement("tr");
  const heading = document.createElement("th");
  heading.scope = "row";
  heading.textContent = name;
  heading.title = why;
  const cells = [String(layer), value.toFixed(3)].map((text) => {
    const cell = document.createElement("td");
    cell.className = "number";
    cell.textContent = text;
    return cell;
  });
  line.append(heading, ...cells);
  return line;
}
