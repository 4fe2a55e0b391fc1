/** Calls to this server's API, as somebody signed in or, where it allows that, as nobody. */

/** An answer other than success: the server's own words, and the code for programs. */
export class ApiFailure extends Error {
  constructor(message, { status = 0, code = null, param = null, retryAfter = null, requestId = null } = {}) {
    super(message);
    Object.assign(this, { status, code, param, retryAfter, requestId });
  }

  /** What is shown: the message, when to try again, and what to tell whoever runs the server. */
  get words() {
    const again = this.retryAfter ? ` Try again in ${this.retryAfter} s.` : "";
    const id = this.status >= 500 && this.requestId ? ` (request ${this.requestId})` : "";
    return `${this.message}${again}${id}`;
  }
}

export class Api {
  /** @param {string|null} csrfToken - of the session; null for nobody */
  constructor(csrfToken) {
    this.csrfToken = csrfToken;
  }

  /**
   * @param {string} path - such as "/v1/embeddings"
   * @param {object|FormData} body - an object goes as JSON
   * @returns {Promise<{answer: object, seconds: number}>} the answer, and how long it took
   */
  async post(path, body) {
    const headers = { Accept: "application/json" };
    if (this.csrfToken) headers["X-CSRF-Token"] = this.csrfToken;
    const isForm = body instanceof FormData;
    if (!isForm) headers["Content-Type"] = "application/json";
    const started = performance.now();
    let response;
    let text;
    try {
      response = await fetch(path, { method: "POST", headers, body: isForm ? body : JSON.stringify(body) });
      text = await response.text();
    } catch (error) {
      throw new ApiFailure("The server did not answer. Look whether it runs and you are online, and try again.", {
        cause: error,
      });
    }
    const seconds = (performance.now() - started) / 1000;
    const answer = parsed(text);
    if (!response.ok || !answer) throw failure(response, answer);
    return { answer, seconds };
  }
}

/** A file as the `input` of /v1/embeddings: base64, with its type where the browser knows it. */
export async function asInput(file) {
  const url = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
  return file.type.startsWith("audio/") ? url : url.slice(url.indexOf(",") + 1);
}

/** Base64 of little-endian float32 to numbers. */
export function asFloats(base64) {
  return new Float32Array(asBytes(base64).buffer);
}

/** What base64 stands for. */
export function asBytes(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function failure(response, answer) {
  const told = answer?.error;
  return new ApiFailure(told?.message ?? `The server answered ${response.status} ${response.statusText}.`, {
    status: response.status,
    code: told?.code,
    param: told?.param,
    retryAfter: response.headers.get("Retry-After"),
    requestId: response.headers.get("x-request-id"),
  });
}
