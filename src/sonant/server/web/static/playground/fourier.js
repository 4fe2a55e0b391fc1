/** Power spectra of real signals: an iterative radix-2 transform with its tables made once. */

export class Fourier {
  /** @param {number} size - samples in a frame; a power of two */
  constructor(size) {
    if (size < 2 || size & (size - 1)) throw new RangeError(`a frame of ${size} samples: expected a power of two`);
    this.size = size;
    this.cosines = new Float32Array(size / 2);
    this.sines = new Float32Array(size / 2);
    for (let i = 0; i < size / 2; i++) {
      this.cosines[i] = Math.cos((2 * Math.PI * i) / size);
      this.sines[i] = Math.sin((2 * Math.PI * i) / size);
    }
    this.reversed = new Uint32Array(size);
    for (let i = 1; i < size; i++) this.reversed[i] = (this.reversed[i >> 1] >> 1) | (i & 1 ? size / 2 : 0);
    this.real = new Float32Array(size);
    this.imaginary = new Float32Array(size);
  }

  /**
   * The squared magnitudes of bins 0 to size/2.
   * @param {Float32Array} frame - (size,)
   * @param {Float32Array} power - (size/2 + 1,), written to
   */
  power(frame, power) {
    const { size, real, imaginary, cosines, sines } = this;
    for (let i = 0; i < size; i++) real[i] = frame[this.reversed[i]];
    imaginary.fill(0);
    for (let width = 2; width <= size; width *= 2) {
      const half = width / 2;
      const step = size / width;
      for (let start = 0; start < size; start += width) {
        for (let k = 0; k < half; k++) {
          const a = start + k;
          const b = a + half;
          const c = cosines[k * step];
          const s = sines[k * step];
          const re = real[b] * c + imaginary[b] * s;
          const im = imaginary[b] * c - real[b] * s;
          real[b] = real[a] - re;
          imaginary[b] = imaginary[a] - im;
          real[a] += re;
          imaginary[a] += im;
        }
      }
    }
    for (let i = 0; i <= size / 2; i++) power[i] = real[i] * real[i] + imaginary[i] * imaginary[i];
  }
}
