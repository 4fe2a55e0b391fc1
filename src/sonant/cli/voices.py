"""Commands below `sonant voices` that compare voices by a model: enroll, identify, calibrate."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonant.cli.json_output import print_json
from sonant.cli.options import ModelFlags

if TYPE_CHECKING:
    from sonant.api import Identification, Voices

DEFAULT = "sonant/wavlm-tiny"


@dataclass(frozen=True, kw_only=True)
class VoicesFlags(ModelFlags):
    """Options of the commands that open a file of voices.

    Attributes:
        voices (FILE): the file of voices.
        model (-m ID): a hub id, a folder or a checkpoint file. Without it: the one that the file was made with.
    """

    voices: Path = Path("people.voices")
    model: str | None = None

    def opened(self, *, default: str | None = None) -> "Voices":
        """Open the file; if there is none, or an empty one, it is made with the model or the default one.

        Raises ConfigurationError: there is no such file, and no default.
        """
        from sonant.api import Voices
        from sonant.extraction.voice_file import VoiceFile

        if default is None:
            VoiceFile(self.voices)
        is_new = not self.voices.exists() or self.voices.stat().st_size == 0
        model = self.model or (default if is_new else None)
        return Voices(self.voices, None if model is None else self.load(model))


def enroll(name: str, recordings: list[str], *, json: bool = False, options: VoicesFlags) -> int:
    """Enroll recordings of a person, who is added if there is none of this name.

    Each recording holds the speech of this person alone, at least 2 s, better 10 s. One that is refused is named, and
    the others are enrolled; one that is enrolled already is not counted twice. No audio is kept: the file holds speaker
    embeddings, which belong to one model.

    Args:
        name (NAME): of the person.
        recordings (FILE): one or several.
        json: print the person as JSON.

    Examples:
        sonant voices enroll Ada ada1.wav ada2.wav
        sonant voices enroll "Grace Hopper" grace.flac --voices office.voices -m microsoft/wavlm-base-plus-sv
    """
    from sonant.errors import AudioError

    voices = options.opened(default=DEFAULT)
    enrolled, repeated, refused = 0, 0, 0
    for recording in recordings:
        try:
            done = voices.enroll(name, recording)
            enrolled, repeated = enrolled + len(done.added), repeated + len(done.repeated)
        except AudioError as error:
            refused += 1
            _print_error(recording, error)
    if json:
        print_json({"name": name, "enrolled": enrolled, "repeated": repeated, "refused": refused}, indent=2)
    elif enrolled or repeated:
        again = f", {repeated} enrolled before" if repeated else ""
        print(f"{name}: {enrolled} of {enrolled + repeated + refused} recordings enrolled{again}")
    return 1 if refused else 0


def identify(
    recordings: list[str],
    *,
    threshold: float | None = None,
    top: int = 5,
    json: bool = False,
    options: VoicesFlags,
) -> int:
    """Say whose voice a recording is: that of an enrolled person, or an unknown one.

    Args:
        recordings (FILE): one or several.
        threshold: least accepted cosine. Without it: that of the calibration, for as many people as are enrolled.
        top: number of similar people to print with --json.
        json: print a JSON object per recording, one per line.

    Examples:
        sonant voices identify unknown.wav
        sonant voices identify calls/*.wav --voices office.voices --json
    """
    from sonant.errors import AudioError

    voices = options.opened()
    failed, basis = False, ""
    for recording in recordings:
        try:
            found: Any = voices.identify(recording, threshold=threshold, top=top)
        except AudioError as error:
            failed = True
            _print_error(recording, error)
            continue
        if json:
            print_json({"path": recording, **_as_data(found)})
        else:
            print(f"{recording}: {_sentence(found)}")
            basis = found.basis if found.matches else ""
    if basis:
        print(basis, file=sys.stderr)
    return int(failed)


def calibrate(
    manifest: Path,
    *,
    false_accept: float = 0.01,
    label: str = "speaker",
    output: Path | None = None,
    json: bool = False,
    options: VoicesFlags,
) -> int:
    """Calibrate comparisons of voices on recordings of known speakers: their normalization and threshold.

    Use recordings like yours, with several of each of some dozens of speakers, better none of the people to be
    enrolled. One that cannot be used is named, and left out. The calibration is kept in the file of voices, or, with
    --output, written to a file of calibrations, which sonant verify --calibration and the server's setting
    voice_calibrations take; voices.json beside a checkpoint is used with it by itself.

    Args:
        manifest (MANIFEST|FOLDER): lists the recordings, with a column for the speaker; or a folder of recordings,
            with a folder for each speaker (--label label).
        false_accept: share of the pairs of two speakers that the threshold takes for one.
        label: name of the column.
        output (-o FILE): of the calibration, in place of the file of voices; calibrations of other models in it are
            kept.
        json: print the calibration as JSON.

    Examples:
        sonant voices calibrate speakers.jsonl
        sonant voices calibrate speakers.csv --label who --false-accept 0.001 --voices office.voices
        sonant voices calibrate speakers.jsonl -m checkpoints/mine -o checkpoints/mine/voices.json
    """
    from sonant.data import read_manifest
    from sonant.errors import ManifestError

    entries = read_manifest(manifest)
    if missing := [entry.path for entry in entries if not entry.fields.get(label)]:
        raise ManifestError(
            f"{manifest} has no {label!r} for {len(missing)} of {len(entries)} recordings, the first {missing[0]}. "
            "Name the column of the speakers with --label."
        )
    failures: list[tuple[int, Exception]] = []
    how: dict[str, Any] = {
        "false_accept": false_accept,
        "data": manifest.name,
        "on_error": "skip",
        "on_failure": lambda number, error: failures.append((number, error)),
    }
    recordings, speakers = zip(*((entry, str(entry.fields[label])) for entry in entries), strict=True)
    if output is None:
        calibration = options.opened(default=DEFAULT).calibrate(recordings, speakers, **how)
    else:
        from sonant.extraction.voice_calibrations import write_calibration

        encoder = options.load(options.model or DEFAULT)
        calibration = encoder.calibrate_voices(recordings, speakers, **how)
        write_calibration(output, encoder.voice_fingerprint, calibration)
    for number, error in failures:
        _print_error(entries[number].name, error)
    if json:
        print_json(calibration.as_data(), indent=2)
    else:
        print(calibration.basis)
    return 1 if failures else 0


def _sentence(found: "Identification") -> str:
    """Say whose voice it is, with the most similar person otherwise."""
    if not found.matches:
        return "no one is enrolled"
    best = found.matches[0]
    likely = "" if best.probability is None else f", probability {best.probability:.2f}"
    how = f"cosine {best.score:.3f}{likely}"
    if found.threshold is None:
        return f"no verdict; most similar is {best.name} ({how})"
    limit = f"threshold {found.threshold:.3f}"
    return f"{best.name} ({how}, {limit})" if found.person else f"unknown; most similar is {best.name} ({how}, {limit})"


def _print_error(recording: str, error: Exception) -> None:
    """Print what is wrong with a recording to stderr; many messages name it themselves."""
    print(error if recording in str(error) else f"{recording}: {error}", file=sys.stderr)


def _as_data(found: "Identification") -> dict[str, Any]:
    from dataclasses import asdict

    return {"name": found.name, **asdict(found)}
