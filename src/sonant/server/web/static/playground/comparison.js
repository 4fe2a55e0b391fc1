/** How alike two recordings are: the cosine of their mean vectors, layer by layer and for each task. */

import { asFloats, asInput } from "./api.js";
import { barChart } from "./chart.js";
import { cosine } from "./similarity.js";

export class Comparison {
  /**
   * @param {HTMLElement} section - with [data-part] chart and tasks
   * @param {(name: string, body: object) => Promise<object>} embed
   * @param {{tasks: {name: string, layer: number, why: string}[], num_layers: number, dim: number}} model
   */
  constructor(section, embed, model) {
    this.embed = embed;
    this.model = model;
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

  async show(a, b) {
    const answer = await this.embed("mean vectors of A and B", {
      input: [await asInput(a.file), await asInput(b.file)],
      layer: "all",
      pooling: "mean",
      encoding_format: "base64",
    });
    const [first, second] = answer.data.map((item) => asFloats(item.embedding));
    const { dim, num_layers } = this.model;
    const at = (vectors, layer) => vectors.subarray(layer * dim, (layer + 1) * dim);
    const values = Array.from({ length: num_layers + 1 }, (_, layer) => cosine(at(first, layer), at(second, layer)));
    const names = new Map();
    for (const { name, layer } of this.model.tasks) {
      names.set(layer, names.has(layer) ? `${names.get(layer)}, ${name}` : name);
    }
    this.chart.replaceChildren(barChart(values, names, "Cosine of A and B by layer"));
    this.tasks.replaceChildren(...this.model.tasks.map((task) => row(task, values[task.layer])));
    this.of = [a.file, b.file];
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
