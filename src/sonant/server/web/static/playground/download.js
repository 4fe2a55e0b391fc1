/** Vectors as files: .npy for numpy, .json for everything else. */

/**
 * @param {Float32Array} values
 * @param {number[]} shape - in C order
 * @returns {Uint8Array} a file of numpy, format 1.0
 */
export function npy(values, shape) {
  const facts = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const length = Math.ceil((facts.length + 11) / 64) * 64; // of the whole header, its newline among it
  const file = new Uint8Array(length + values.length * 4);
  const text = new TextEncoder();
  file.set([0x93, ...text.encode("NUMPY"), 1, 0, (length - 10) & 0xff, (length - 10) >> 8]);
  file.set(text.encode(`${facts.padEnd(length - 11)}\n`), 10);
  const view = new DataView(file.buffer);
  values.forEach((value, i) => view.setFloat32(length + 4 * i, value, true));
  return file;
}

/** @returns {string} JSON with the facts and a list of numbers for each row of `dim` */
export function vectorsAsJson(values, dim, facts) {
  const rows = Array.from({ length: values.length / dim }, (_, i) => [...values.subarray(i * dim, (i + 1) * dim)]);
  return JSON.stringify({ ...facts, shape: [rows.length, dim], vectors: rows });
}

/**
 * @param {Slot} slot - whose frames of a layer are here
 * @param {Float32Array} values - (frames, dim)
 * @param {{id: string, dim: number, frame_rate: number}} model
 * @returns {HTMLButtonElement[]} one for each kind of file
 */
export function downloadButtons(slot, values, layer, model) {
  const facts = { model: model.id, recording: slot.file.name, layer, frame_rate: model.frame_rate };
  const files = {
    ".npy": () => npy(values, [values.length / model.dim, model.dim]),
    ".json": () => vectorsAsJson(values, model.dim, facts),
  };
  const name = `${slot.file.name.replace(/\.\w+$/, "")}-layer-${layer}`;
  return Object.entries(files).map(([ending, make]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button button--small";
    button.textContent = `${slot.letter} as ${ending}`;
    button.addEventListener("click", () => save(`${name}${ending}`, make()));
    return button;
  });
}

function save(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
