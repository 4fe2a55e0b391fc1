"""Code samples that call a model: curl, the `openai` packages, fetch, sonant."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sonant.models.abilities import Ability
from sonant.models.catalog import CATALOG
from sonant.models.loading import loading
from sonant.server.web.entries import ModelEntry

Tool = Literal["curl", "openai", "node", "fetch", "sonant"]
TITLES: Mapping[Ability, str] = {
    "embeddings": "A vector for a recording",
    "transcription": "A transcript",
    "verification": "Are these one voice?",
    "diarization": "Who speaks when",
    "classification": "A label for a recording",
    "enhancement": "Speech without noise",
    "separation": "A recording of each speaker",
}
TOOLS: Mapping[Tool, str] = {
    "curl": "curl",
    "openai": "Python, openai",
    "node": "JavaScript, openai",
    "fetch": "JavaScript, fetch",
    "sonant": "Python, sonant",
}


@dataclass(frozen=True)
class Form:
    """A request as a form, for tools without methods of their own.

    Attributes:
        path: behind /v1.
        fields: beside `model`; a value that begins with "@" is a file.
        output: file for the answer, where it is audio.
    """

    path: str
    fields: Mapping[str, str]
    output: str | None = None


FORMS: Mapping[Ability, Form] = {
    "embeddings": Form("/embeddings", {"file": "@speech.wav"}),
    "transcription": Form("/audio/transcriptions", {"file": "@speech.wav"}),
    "verification": Form("/audio/speaker/verification", {"file": "@speech.wav", "reference": "@known.wav"}),
    "diarization": Form("/audio/diarizations", {"file": "@meeting.wav", "num_speakers": "2"}),
    "classification": Form("/audio/classifications", {"file": "@speech.wav"}),
    "enhancement": Form("/audio/enhancements", {"file": "@speech.wav"}, output="clean.wav"),
    "separation": Form("/audio/separations", {"file": "@meeting.wav", "response_format": "wav"}, output="speakers.wav"),
}


def _curl(form: Form, url: str, model: str) -> str:
    fields = {"model": shlex.quote(model), **form.fields}
    lines = [f"curl {url}/v1{form.path}", '-H "Authorization: Bearer $SONANT_API_KEY"']
    lines += [f"-F {name}={value}" for name, value in fields.items()]
    return " \\\n  ".join(lines + ([f"--fail-with-body -o {form.output}"] if form.output else []))


def _fetch(form: Form, url: str, model: str) -> str:
    fields = {
        name: f'await openAsBlob("{value[1:]}"), "{value[1:]}"' if value.startswith("@") else f'"{value}"'
        for name, value in form.fields.items()
    }
    appended = "\n".join(f'form.append("{name}", {value});' for name, value in fields.items())
    imports, ending = "", FETCHED_JSON
    if form.output:
        imports, ending = 'import { writeFile } from "node:fs/promises";\n', FETCHED_FILE.replace("OUTPUT", form.output)
    return f"""\
import {{ openAsBlob }} from "node:fs";
{imports}
const form = new FormData();
form.append("model", {_quoted(model)});
{appended}

const response = await fetch("{url}/v1{form.path}", {{
  method: "POST",
  headers: {{ Authorization: `Bearer ${{process.env.SONANT_API_KEY}}` }},
  body: form,
}});
{ending}"""


FETCHED_JSON = """\
const answer = await response.json();
if (!response.ok) throw new Error(answer.error.message);
console.log(answer);"""
FETCHED_FILE = """\
if (!response.ok) throw new Error((await response.json()).error.message);
await writeFile("OUTPUT", Buffer.from(await response.arrayBuffer()));"""
CLIENT = """\
import base64
import os
from pathlib import Path

from openai import OpenAI

client = OpenAI(base_url="{url}/v1", api_key=os.environ["SONANT_API_KEY"])
"""
AUDIO = """\


def recording(path: str) -> str:
    return "data:audio/wav;base64," + base64.b64encode(Path(path).read_bytes()).decode()


"""
OPENAI: Mapping[Ability, str] = {
    "embeddings": f"""{CLIENT}{AUDIO}answer = client.embeddings.create(model={{name}}, input=recording("speech.wav"))
print(len(answer.data[0].embedding), answer.usage)""",
    "transcription": """\
import os
from pathlib import Path

from openai import OpenAI

client = OpenAI(base_url="{url}/v1", api_key=os.environ["SONANT_API_KEY"])
transcript = client.audio.transcriptions.create(model={name}, file=Path("speech.wav"))
print(transcript.text)""",
    "verification": f"""{CLIENT}{AUDIO}answer = client.post(
    "/audio/speaker/verification",
    body={{{{"model": {{name}}, "input": recording("speech.wav"), "reference": recording("known.wav")}}}},
    cast_to=object,
)
print(answer)""",
    "diarization": f"""{CLIENT}{AUDIO}answer = client.post(
    "/audio/diarizations",
    body={{{{"model": {{name}}, "input": recording("meeting.wav"), "num_speakers": 2}}}},
    cast_to=object,
)
print(answer)""",
    "classification": f"""{CLIENT}{AUDIO}answer = client.post(
    "/audio/classifications", body={{{{"model": {{name}}, "file": recording("speech.wav")}}}}, cast_to=object
)
print(answer)""",
    "enhancement": CLIENT.replace("import OpenAI", "import HttpxBinaryResponseContent, OpenAI")
    + AUDIO
    + """\
clean = client.post(
    "/audio/enhancements",
    body={{"model": {name}, "file": recording("speech.wav")}},
    cast_to=HttpxBinaryResponseContent,
)
clean.write_to_file("clean.wav")""",
    "separation": f"""{CLIENT}{AUDIO}answer = client.post(
    "/audio/separations", body={{{{"model": {{name}}, "file": recording("meeting.wav")}}}}, cast_to=object
)
for item in answer["data"]:
    Path(f"{{{{item['speaker']}}}}.wav").write_bytes(base64.b64decode(item["audio"]["data"]))""",
}

NODE_CLIENT = """\
import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{url}/v1", apiKey: process.env.SONANT_API_KEY }});
"""
NODE_AUDIO = f"""\
import {{{{ readFile }}}} from "node:fs/promises";
{NODE_CLIENT}
async function recording(path) {{{{
  return "data:audio/wav;base64," + (await readFile(path)).toString("base64");
}}}}

"""
NODE: Mapping[Ability, str] = {
    "embeddings": NODE_AUDIO
    + """\
const answer = await client.embeddings.create({{ model: {name}, input: await recording("speech.wav") }});
console.log(answer.data[0].embedding.length, answer.usage);""",
    "transcription": f"""\
import {{{{ createReadStream }}}} from "node:fs";
{NODE_CLIENT}
const file = createReadStream("speech.wav");
const transcript = await client.audio.transcriptions.create({{{{ model: {{name}}, file }}}});
console.log(transcript.text);""",
    "verification": NODE_AUDIO
    + """\
const [input, reference] = [await recording("speech.wav"), await recording("known.wav")];
const body = {{ model: {name}, input, reference }};
console.log(await client.post("/audio/speaker/verification", {{ body }}));""",
    "diarization": NODE_AUDIO
    + """\
const body = {{ model: {name}, input: await recording("meeting.wav"), num_speakers: 2 }};
console.log(await client.post("/audio/diarizations", {{ body }}));""",
    "classification": NODE_AUDIO
    + """\
const body = {{ model: {name}, file: await recording("speech.wav") }};
console.log(await client.post("/audio/classifications", {{ body }}));""",
    "enhancement": NODE_AUDIO.replace("{{ readFile }}", "{{ readFile, writeFile }}")
    + """\
const body = {{ model: {name}, file: await recording("speech.wav") }};
const response = await client.post("/audio/enhancements", {{ body }}).asResponse();
await writeFile("clean.wav", Buffer.from(await response.arrayBuffer()));""",
    "separation": NODE_AUDIO.replace("{{ readFile }}", "{{ readFile, writeFile }}")
    + """\
const body = {{ model: {name}, file: await recording("meeting.wav") }};
const {{ data }} = await client.post("/audio/separations", {{ body }});
for (const {{ speaker, audio }} of data) await writeFile(`${{speaker}}.wav`, Buffer.from(audio.data, "base64"));""",
}

SONANT: Mapping[Ability, str] = {
    "embeddings": """\
import sonant

{load}
vector = encoder.encode("speech.wav", pool="mean")  # numpy, ({dim},)
frames = encoder.encode("speech.wav")  # (frames, {dim}), {frame_rate:g} frames a second""",
    "transcription": """\
import sonant

transcript = sonant.transcribe("speech.wav", model={source})
print(transcript.text)""",
    "verification": """\
import sonant

answer = sonant.verify("speech.wav", "known.wav", model={source})
print(answer.score, answer.same)""",
    "diarization": """\
import sonant

for turn in sonant.diarize("meeting.wav", model={source}, num_speakers=2):
    print(turn.speaker, turn.start_seconds, turn.end_seconds)""",
    "classification": """\
import sonant

print(sonant.classify("speech.wav", model={source}))""",
    "enhancement": """\
import soundfile
import sonant

clean = sonant.enhance("speech.wav", model={source})  # float32 (samples,)
soundfile.write("clean.wav", clean, {sampling_rate}, subtype="FLOAT")""",
    "separation": """\
import soundfile
import sonant

{load}
for name, speech in zip(encoder.speakers, encoder.separate("meeting.wav")):  # float32 (samples,) each
    soundfile.write(f"{{name}}.wav", speech, encoder.sampling_rate, subtype="FLOAT")""",
}


SIMILARITY = """\
import sonant

{load}
print(encoder.similarity("speech.wav", "known.wav"))  # a cosine; this model has no threshold"""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A code sample.

    Attributes:
        ability: the ability that it uses.
        tool: curl, fetch, or the package.
        code: the text.
    """

    ability: Ability
    tool: Tool
    code: str


def samples(model: ModelEntry, url: str) -> list[Sample]:
    """Write samples for all abilities of a model, with the address of this server."""
    card = CATALOG.get(model.id)
    load = loading(card)["python"] if card else f"encoder = sonant.load({_quoted(model.id)})"
    parts = {
        "url": url,
        "name": _quoted(model.id),
        "source": _quoted(card.address.rpartition("/")[2] if card and card.address else model.id),
        "load": load,
        "dim": model.specs.dim if model.specs else "dim",
        "frame_rate": model.specs.frame_rate if model.specs else 50,
        "sampling_rate": model.specs.sampling_rate if model.specs else 16_000,
    }
    own = dict(SONANT)
    if "verification" not in model.heads:
        own["verification"] = SIMILARITY
    found = []
    for ability in model.abilities:
        code: Mapping[Tool, str] = {
            "curl": _curl(FORMS[ability], url, model.id),
            "openai": OPENAI[ability].format_map(parts),
            "node": NODE[ability].format_map(parts),
            "fetch": _fetch(FORMS[ability], url, model.id),
            "sonant": own[ability].format_map(parts),
        }
        found += [Sample(ability=ability, tool=tool, code=text) for tool, text in code.items()]
    return found


def _quoted(text: str) -> str:
    """Quote a text as a string of Python or JavaScript."""
    return json.dumps(text, ensure_ascii=False)
