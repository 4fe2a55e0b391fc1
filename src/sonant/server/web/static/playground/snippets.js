/** The call that the page made, as code to take along. */

const KEY = "SONANT_API_KEY";

/**
 * @param {string} baseUrl - of this server
 * @param {string} model
 * @param {Record<string, string|number>} options - of the call, besides model and input
 * @returns {{curl: string, python: string}} for a recording in recording.wav
 */
export function embeddingSnippets(baseUrl, model, options) {
  const extra = Object.entries(options).map(([name, value]) => `"${name}": ${JSON.stringify(value)}`).join(", ");
  return {
    curl:
      `curl ${baseUrl}/v1/embeddings \\\n  -H "Authorization: Bearer $${KEY}" \\\n` +
      `  -F model=${model} \\\n${formFields(options)}  -F file=@recording.wav`,
    python: python(
      baseUrl,
      `audio = base64.b64encode(open("recording.wav", "rb").read()).decode()\n` +
        `answer = client.embeddings.create(\n    model="${model}",\n    input=audio,\n    encoding_format="float",\n` +
        `    extra_body={${extra}},\n)\n` +
        `print(len(answer.data[0].embedding), answer.usage)`,
      "import base64\n",
    ),
  };
}

/** @returns {{curl: string, python: string}} a transcript with the times of words */
export function transcriptionSnippets(baseUrl, model) {
  return {
    curl:
      `curl ${baseUrl}/v1/audio/transcriptions \\\n  -H "Authorization: Bearer $${KEY}" \\\n  -F model=${model} \\\n` +
      `  -F response_format=verbose_json \\\n  -F "timestamp_granularities[]=word" \\\n  -F file=@recording.wav`,
    python: python(
      baseUrl,
      `with open("recording.wav", "rb") as file:\n    answer = client.audio.transcriptions.create(\n` +
        `        model="${model}", file=file, response_format="verbose_json", timestamp_granularities=["word"]\n    )\n` +
        `print(answer.text)`,
    ),
  };
}

/** @returns {{curl: string}} a call with files, for what OpenAI's client has no method for */
export function formSnippet(baseUrl, model, path, fields, options = {}) {
  const files = fields.map((field) => `  -F ${field}=@${field === "file" ? "recording" : field}.wav`).join(" \\\n");
  return {
    curl: `curl ${baseUrl}${path} \\\n  -H "Authorization: Bearer $${KEY}" \\\n  -F model=${model} \\\n${formFields(options)}${files}`,
  };
}

function formFields(options) {
  return Object.entries(options).map(([name, value]) => `  -F ${name}=${value} \\\n`).join("");
}

function python(baseUrl, call, imports = "") {
  return (
    `${imports}import os\n\nfrom openai import OpenAI\n\n` +
    `client = OpenAI(base_url="${baseUrl}/v1", api_key=os.environ["${KEY}"])\n${call}\n`
  );
}
