/** The call that the page made, as code to take along. */

const KEY = "SONANT_API_KEY";

/**
 * @param {string} baseUrl - of this server
 * @param {string} model
 * @param {Record<string, string|number>} options - of the call, besides model and input
 * @returns {{curl: string, javascript: string, python: string}} for a recording in recording.wav
 */
export function embeddingSnippets(baseUrl, model, options) {
  const extra = Object.entries(options).map(([name, value]) => `"${name}": ${JSON.stringify(value)}`).join(", ");
  return {
    ...formSnippets(baseUrl, model, "/v1/embeddings", ["file"], options),
    python: python(
      baseUrl,
      `audio = base64.b64encode(open("recording.wav", "rb").read()).decode()\n` +
        `answer = client.embeddings.create(\n    model=${JSON.stringify(model)},\n    input=audio,\n    encoding_format="float",\n` +
        `    extra_body={${extra}},\n)\n` +
        `print(len(answer.data[0].embedding), answer.usage)`,
      "import base64\n",
    ),
  };
}

/** @returns {{curl: string, javascript: string, python: string}} a transcript with the times of words */
export function transcriptionSnippets(baseUrl, model) {
  const options = { response_format: "verbose_json", "timestamp_granularities[]": "word" };
  return {
    ...formSnippets(baseUrl, model, "/v1/audio/transcriptions", ["file"], options),
    python: python(
      baseUrl,
      `with open("recording.wav", "rb") as file:\n    answer = client.audio.transcriptions.create(\n` +
        `        model=${JSON.stringify(model)}, file=file, response_format="verbose_json", timestamp_granularities=["word"]\n    )\n` +
        `print(answer.text)`,
    ),
  };
}

/**
 * @param {string|null} output - the file for an answer that is audio
 * @returns {{curl: string, javascript: string}} a call with a form, which OpenAI's client may have no method for
 */
export function formSnippets(baseUrl, model, path, files, options = {}, output = null) {
  const fields = { model, ...options };
  const recordings = Object.fromEntries(files.map((name) => [name, name === "file" ? "recording.wav" : `${name}.wav`]));
  return {
    curl: curl(baseUrl + path, fields, recordings, output),
    javascript: javascript(baseUrl + path, fields, recordings, output),
  };
}

function curl(address, fields, files, output) {
  const form = [
    ...Object.entries(fields).map(([name, value]) => `-F ${shown(`${name}=${value}`)}`),
    ...Object.entries(files).map(([name, file]) => `-F ${name}=@${file}`),
    ...(output ? [`--fail-with-body -o ${output}`] : []),
  ];
  return [`curl ${address}`, `-H "Authorization: Bearer $${KEY}"`, ...form].join(" \\\n  ");
}

/** A word of a command line, in quotes where it needs them. */
function shown(word) {
  return /^[\w./=:@-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function javascript(address, fields, files, output) {
  const appended = [
    ...Object.entries(fields).map(([name, value]) => `form.append("${name}", ${JSON.stringify(String(value))});`),
    ...Object.entries(files).map(([name, file]) => `form.append("${name}", await openAsBlob("${file}"), "${file}");`),
  ];
  const imports = `import { openAsBlob } from "node:fs";\n${output ? 'import { writeFile } from "node:fs/promises";\n' : ""}`;
  const taken = output
    ? `if (!response.ok) throw new Error((await response.json()).error.message);\n` +
      `await writeFile("${output}", Buffer.from(await response.arrayBuffer()));\n`
    : `const answer = await response.json();\nif (!response.ok) throw new Error(answer.error.message);\n` +
      `console.log(answer);\n`;
  return (
    `${imports}\nconst form = new FormData();\n${appended.join("\n")}\n` +
    `const response = await fetch("${address}", {\n  method: "POST",\n` +
    `  headers: { Authorization: \`Bearer \${process.env.${KEY}}\` },\n  body: form,\n});\n${taken}`
  );
}

function python(baseUrl, call, imports = "") {
  return (
    `${imports}import os\n\nfrom openai import OpenAI\n\n` +
    `client = OpenAI(base_url="${baseUrl}/v1", api_key=os.environ["${KEY}"])\n${call}\n`
  );
}
