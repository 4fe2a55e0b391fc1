/** Cosines between vectors and between the frames of recordings. Matrices lie row by row in one Float32Array. */

/** @returns {number} the cosine of the angle between two vectors; 0 where one of them is zero */
export function cosine(a, b) {
  let product = 0;
  let squaresA = 0;
  let squaresB = 0;
  for (let i = 0; i < a.length; i++) {
    product += a[i] * b[i];
    squaresA += a[i] * a[i];
    squaresB += b[i] * b[i];
  }
  return product / (Math.sqrt(squaresA * squaresB) || 1);
}

/**
 * Means of neighboring frames, so that a matrix has no more than `most` rows.
 * @param {Float32Array} frames - (rows, dim)
 * @returns {{frames: Float32Array, rows: number, perRow: number}} how many frames became one row, too
 */
export function thinned(frames, dim, most) {
  const total = frames.length / dim;
  const perRow = Math.max(1, Math.ceil(total / most));
  if (perRow === 1) return { frames, rows: total, perRow };
  const rows = Math.ceil(total / perRow);
  const means = new Float32Array(rows * dim);
  for (let row = 0; row < rows; row++) {
    const last = Math.min(total, (row + 1) * perRow);
    const share = 1 / (last - row * perRow);
    for (let frame = row * perRow; frame < last; frame++) {
      for (let i = 0; i < dim; i++) means[row * dim + i] += share * frames[frame * dim + i];
    }
  }
  return { frames: means, rows, perRow };
}

/** Each row of (rows, dim) scaled to length one; a row of zeros stays. */
export function unitRows(values, dim) {
  const scaled = new Float32Array(values.length);
  for (let start = 0; start < values.length; start += dim) {
    let squares = 0;
    for (let i = start; i < start + dim; i++) squares += values[i] * values[i];
    const scale = 1 / (Math.sqrt(squares) || 1);
    for (let i = start; i < start + dim; i++) scaled[i] = values[i] * scale;
  }
  return scaled;
}

/**
 * The cosine of every row of one with every row of the other.
 * @param {Float32Array} a - (rows of a, dim)
 * @param {Float32Array} b - (rows of b, dim)
 * @returns {Float32Array} (rows of a, rows of b)
 */
export function cosineMatrix(a, b, dim) {
  const unitA = unitRows(a, dim);
  const unitB = a === b ? unitA : unitRows(b, dim);
  const rows = a.length / dim;
  const columns = b.length / dim;
  const matrix = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let product = 0;
      for (let i = 0, x = row * dim, y = column * dim; i < dim; i++, x++, y++) product += unitA[x] * unitB[y];
      matrix[row * columns + column] = product;
    }
  }
  return matrix;
}

/** The value below which a share of all values lies, estimated from at most 20,000 of them. */
export function quantile(values, share) {
  const stride = Math.max(1, Math.floor(values.length / 20000));
  const sample = new Float32Array(Math.ceil(values.length / stride));
  for (let i = 0; i < sample.length; i++) sample[i] = values[i * stride];
  sample.sort();
  return sample[Math.min(sample.length - 1, Math.round(share * (sample.length - 1)))];
}
