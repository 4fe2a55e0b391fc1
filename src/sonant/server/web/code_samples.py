"""Code samples that call a model: curl, the `openai` package, sonant."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sonant.models.catalog import CATALOG
from sonant.models.loading import loading
from sonant.server.hosting.served_model import Ability
from sonant.server.web.entries import ModelEntry

Tool = Literal["curl", "openai", "sonant"]
TITLES: Mapping[Ability, str] = {
    "embeddings": "A vector for a recording",
    "transcription": "A transcript",
    "verification": "Are these one voice?",
    "diarization": "Who speaks when",
}
TOOLS: Mapping[Tool, str] = {"curl": "curl", "openai": "Python, openai", "sonant": "Python, sonant"}

CURL: Mapping[Ability, str] = {
    "embeddings": """\
curl {url}/v1/embeddings \\
  -H "Authorization: Bearer $SONANT_API_KEY" \\
  -F model={id} \\
  -F file=@speech.wav""",
    "transcription": """\
curl {url}/v1/audio/transcriptions \\
  -H "Authorization: Bearer $SONANT_API_KEY" \\
  -F model={id} \\
  -F file=@speech.wav""",
    "verification": """\
curl {url}/v1/audio/speaker/verification \\
  -H "Authorization: Bearer $SONANT_API_KEY" \\
  -F model={id} \\
  -F file=@speech.wav \\
  -F reference=@known.wav""",
    "diarization": """\
curl {url}/v1/audio/diarizations \\
  -H "Authorization: Bearer $SONANT_API_KEY" \\
  -F model={id} \\
  -F file=@meeting.wav \\
  -F num_speakers=2""",
}

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
        tool: curl, or the Python package.
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
        "id": shlex.quote(model.id),
        "name": _quoted(model.id),
        "source": _quoted(card.address.rpartition("/")[2] if card and card.address else model.id),
        "load": load,
        "dim": model.specs.dim if model.specs else "dim",
        "frame_rate": model.specs.frame_rate if model.specs else 50,
    }
    own = dict(SONANT)
    if "verification" not in model.heads:
        own["verification"] = SIMILARITY
    tables: Mapping[Tool, Mapping[Ability, str]] = {"curl": CURL, "openai": OPENAI, "sonant": own}
    return [
        Sample(ability=ability, tool=tool, code=table[ability].format_map(parts))
        for ability in model.abilities
        for tool, table in tables.items()
    ]


def _quoted(text: str) -> str:
    """Quote a text as a Python string."""
    return json.dumps(text, ensure_ascii=False)
