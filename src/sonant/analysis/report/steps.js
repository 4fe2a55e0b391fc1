/** Curves and matrices: a cursor goes over their layers, by pointer or arrow keys. */

function stepThrough(svg, { x, y, size, texts }) {
  const cursor = svg.querySelector(".cursor");
  const readout = svg.parentElement.querySelector(".readout");
  const resting = [...readout.childNodes];
  let [row, column] = [-1, -1];
  cursor.setAttribute("width", size[0]);
  cursor.setAttribute("height", size[1]);

  function show(newRow, newColumn) {
    [row, column] = [clamp(newRow, 0, y.length - 1), clamp(newColumn, 0, x.length - 1)];
    cursor.setAttribute("x", x[column] - size[0] / 2);
    cursor.setAttribute("y", y[row] - size[1] / 2);
    cursor.setAttribute("visibility", "visible");
    readout.replaceChildren(...texts[row][column].map(([model, text]) => element("span", { class: `m${model}` }, text)));
  }
  function rest() {
    [row, column] = [-1, -1];
    cursor.setAttribute("visibility", "hidden");
    readout.replaceChildren(...resting);
  }
  function follow(event) {
    const [across, down] = placeIn(svg, event);
    show(nearest(y, down), nearest(x, across));
  }
  svg.addEventListener("pointermove", follow);
  svg.addEventListener("pointerdown", follow);
  svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && rest());
  svg.addEventListener("blur", rest);
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (event.key === "Escape") rest();
    if (!step || (step[0] && y.length === 1)) return;
    event.preventDefault();
    if (row < 0) show(0, 0);
    else show(row + step[0], column + step[1]);
  });
}

const figures = read("figures");
for (const svg of document.querySelectorAll("[data-steps]")) stepThrough(svg, figures[svg.dataset.steps]);
