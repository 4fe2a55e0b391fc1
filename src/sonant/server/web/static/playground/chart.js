/** Bars for numbers from -1 to 1, one a layer, drawn as SVG; its text alternative has them all. */

const NAMESPACE = "http://www.w3.org/2000/svg";
const HEIGHT = 200;
const EDGE = { left: 40, right: 8, top: 22, bottom: 38 };

/**
 * @param {number} width - in CSS pixels
 * @param {number[]} values - cosines
 * @param {Set<number>} named - the bars that stand out
 * @returns {SVGElement}
 */
export function barChart(width, values, named, subject) {
  const low = Math.min(0, Math.floor(Math.min(...values) * 5) / 5);
  const svg = element("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, class: "chart", role: "img" });
  svg.setAttribute("aria-label", `${subject}: ${values.map((value, i) => `${i}: ${value.toFixed(2)}`).join(", ")}`);
  const height = HEIGHT - EDGE.top - EDGE.bottom;
  const y = (value) => EDGE.top + ((1 - value) / (1 - low)) * height;
  for (let mark = low; mark <= 1.001; mark += low < 0 ? 0.5 : 0.25) {
    svg.append(element("line", { x1: EDGE.left, x2: width - EDGE.right, y1: y(mark), y2: y(mark), class: "rule" }));
    svg.append(label(mark.toFixed(2), EDGE.left - 6, y(mark) + 4, "end"));
  }
  const step = (width - EDGE.left - EDGE.right) / values.length;
  const every = Math.ceil(22 / step);
  values.forEach((value, i) => {
    const x = EDGE.left + i * step;
    const top = Math.min(y(value), y(0));
    svg.append(
      element("rect", {
        x: x + step * 0.14,
        y: top,
        width: step * 0.72,
        height: Math.max(1, Math.abs(y(value) - y(0))),
        rx: 2,
        class: named.has(i) ? "bar bar-named" : "bar",
      }),
    );
    if (step >= 34) svg.append(label(value.toFixed(2), x + step / 2, top - 5, "middle"));
    if (i % every === 0) svg.append(label(String(i), x + step / 2, HEIGHT - EDGE.bottom + 15, "middle"));
  });
  svg.append(label("layer", EDGE.left + (width - EDGE.left - EDGE.right) / 2, HEIGHT - 4, "middle"));
  return svg;
}

function label(text, x, y, anchor) {
  const node = element("text", { x, y, "text-anchor": anchor });
  node.textContent = text;
  return node;
}

function element(name, attributes) {
  const node = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  return node;
}
