/** Recordings in the browser: any file it can decode, as mono samples at the rate of the pictures. */

export const SAMPLING_RATE = 16000;

/**
 * @param {Blob} file - in any format
 * @returns {Promise<Float32Array|null>} mono, at SAMPLING_RATE; null where this browser does not know the format
 */
export async function decode(file) {
  const context = new OfflineAudioContext(1, 1, SAMPLING_RATE); // decoding resamples to the context's rate
  try {
    return mixedDown(await context.decodeAudioData(await file.arrayBuffer()));
  } catch {
    return null;
  }
}

/** The samples of one rate at another, through the browser's own resampler. */
export async function resampled(samples, from, to) {
  if (from === to || !samples.length) return samples;
  const context = new OfflineAudioContext(1, Math.max(1, Math.round((samples.length * to) / from)), to);
  const source = context.createBufferSource();
  source.buffer = context.createBuffer(1, samples.length, from);
  source.buffer.copyToChannel(samples, 0);
  source.connect(context.destination);
  source.start();
  return (await context.startRendering()).getChannelData(0);
}

/** The mean of all channels. */
function mixedDown(buffer) {
  const mono = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let i = 0; i < mono.length; i++) mono[i] += samples[i] / buffer.numberOfChannels;
  }
  return mono;
}
