"""Commands below `sonant voices` that list and change what a file of voices holds, without a model."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sonant.cli.json_output import print_json


def list_voices(*, voices: Path = Path("people.voices"), recordings: bool = False, json: bool = False) -> int:
    """List the people in a file of voices.

    Args:
        voices (FILE): the file of voices.
        recordings: list each recording, with the id by which it can be forgotten.
        json: print a JSON list, one object per person or recording.

    Examples:
        sonant voices list
        sonant voices list --recordings
        sonant voices list --voices office.voices --json
    """
    from sonant.extraction.voice_file import VoiceFile

    people = VoiceFile(voices).people()
    rows: list[dict[str, Any]]
    if recordings:
        rows = [
            {
                "name": person.name,
                "recording": recording.id,
                "enrolled": datetime.fromtimestamp(recording.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "speech_seconds": round(recording.speech_seconds, 2),
            }
            for person in people
            for recording in person.recordings
        ]
    else:
        rows = [
            {
                "name": person.name,
                "id": person.id,
                "recordings": len(person.recordings),
                "speech_seconds": round(sum(recording.speech_seconds for recording in person.recordings), 2),
            }
            for person in people
        ]
    if json:
        print_json(rows, indent=2)
        return 0
    from sonant.cli.console import make_console, plain_table, print_parts

    columns = ("name", "recording", "enrolled") if recordings else ("name", "recordings")
    table = plain_table(*columns, "speech")
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns), f"{row['speech_seconds']:.1f} s")
    print_parts(make_console(), [table])
    return 0


def merge(name: str, into: str, *, voices: Path = Path("people.voices")) -> int:
    """Move the recordings of one person to another, and remove the first.

    Args:
        name (NAME): whose recordings are moved.
        into (INTO): who gets them.
        voices (FILE): the file of voices.

    Examples:
        sonant voices merge "Ada L." Ada
    """
    from sonant.extraction.voice_file import VoiceFile

    VoiceFile(voices).merge(name, into)
    print(f"{name} is merged into {into}")
    return 0


def rename(name: str, new: str, *, voices: Path = Path("people.voices")) -> int:
    """Rename a person.

    Args:
        name (NAME): the present name.
        new (NEW): the new name.
        voices (FILE): the file of voices.

    Examples:
        sonant voices rename Ada "Ada Lovelace"
    """
    from sonant.extraction.voice_file import VoiceFile

    VoiceFile(voices).rename(name, new)
    print(f"{name} is called {new}")
    return 0


def forget(name: str, *, recording: str | None = None, voices: Path = Path("people.voices")) -> int:
    """Delete a person with all recordings, or a single recording.

    Args:
        name (NAME): of the person.
        recording (ID): delete this recording alone, and the person with the last one; sonant voices list --recordings
            shows the ids.
        voices (FILE): the file of voices.

    Examples:
        sonant voices forget Ada
        sonant voices forget Ada --recording 6060733256ef4e1d8434ec52fbecf357
    """
    from sonant.extraction.voice_file import VoiceFile

    VoiceFile(voices).forget(name, recording)
    print(f"{name} is forgotten" if recording is None else f"recording {recording} of {name} is forgotten")
    return 0


def export(*, voices: Path = Path("people.voices")) -> int:
    """Print all that is stored about the people, with their vectors, as JSON.

    Args:
        voices (FILE): the file of voices.

    Examples:
        sonant voices export > people.json
    """
    from sonant.decoding.known_voices import exported
    from sonant.extraction.voice_file import VoiceFile

    file = VoiceFile(voices)
    print_json(exported(file.people(), model=file.model), indent=2)
    return 0
