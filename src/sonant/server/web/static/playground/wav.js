/** WAV files, 16 bits a sample, one channel: what recordings from the microphone are sent as. */

const HEADER_BYTES = 44;

/**
 * @param {Float32Array} samples - from -1 to 1; what lies beyond is clipped
 * @param {number} samplingRate - in hertz
 * @returns {ArrayBuffer} a whole file
 */
export function encodeWav(samples, samplingRate) {
  const bytes = new ArrayBuffer(HEADER_BYTES + 2 * samples.length);
  const view = new DataView(bytes);
  const word = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  word(0, "RIFF");
  view.setUint32(4, bytes.byteLength - 8, true);
  word(8, "WAVE");
  word(12, "fmt ");
  view.setUint32(16, 16, true); // bytes of this chunk
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, samplingRate, true);
  view.setUint32(28, 2 * samplingRate, true); // bytes a second
  view.setUint16(32, 2, true); // bytes a frame of all channels
  view.setUint16(34, 16, true); // bits a sample
  word(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  for (let i = 0; i < samples.length; i++) {
    const clipped = Math.max(-1, Math.min(1, samples[i]));
    view.setInt16(HEADER_BYTES + 2 * i, Math.max(-32768, Math.min(32767, Math.round(clipped * 32768))), true);
  }
  return bytes;
}
