"""Lists of recordings: JSON Lines, one recording a line, paths relative to the file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sonant.errors import ManifestError


@dataclass(frozen=True)
class Recording:
    """One recording of a corpus.

    Attributes:
        path: where the audio lies.
        duration: seconds, if the manifest says.
        fields: whatever else the manifest says: text, speaker, label, ...
    """

    path: Path
    duration: float | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


def read_manifest(path: str | Path) -> list[Recording]:
    """Read a `.jsonl` manifest, or the `manifest.jsonl` of a folder.

    Raises:
        ManifestError: missing, empty, or a line that is not a JSON object with a `path`.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "manifest.jsonl"
    if not path.is_file():
        raise ManifestError(
            f"There is no manifest at {path}. Expected a .jsonl file, or a folder that holds manifest.jsonl."
        )
    recordings = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            recording = Recording(path.parent / fields.pop("path"), fields.pop("duration", None), fields)
        except (json.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
            raise ManifestError(
                f'{path}:{number}: expected a JSON object with a "path", got {line[:80]!r} ({error}).'
            ) from error
        recordings.append(recording)
    if not recordings:
        raise ManifestError(f"{path} lists no recordings.")
    return recordings
