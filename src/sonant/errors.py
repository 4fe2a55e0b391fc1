"""Every error that sonant raises on purpose.

    SonantError
    ├── AudioError (ValueError)          one recording cannot be used
    │   ├── AudioNotFound                the path leads nowhere
    │   ├── UndecodableAudio             not audio, or in a format that no reader here knows
    │   ├── TruncatedAudio               the file promises more samples than it holds
    │   ├── EmptyAudio                   no samples at all
    │   ├── TooShortAudio                less than one frame of the model
    │   ├── OversizedAudio               more than the reader was told to take
    │   ├── MissingChannel               it has no channel of the number that was asked for
    │   ├── MissingSegment               it ends before the segment that was asked for
    │   ├── NonFiniteAudio               NaN or infinite samples
    │   ├── NoSpeech                     nothing in it is loud enough to be speech
    │   ├── TooLittleSpeech              too little speech to enroll a voice
    │   ├── SeveralVoices                speech of several people, where one is enrolled
    │   ├── RecordingEnrolled            enrolled as another person
    │   └── UnalignableText              its text is empty, too long for it, or cannot be spelled
    ├── CheckpointError (ValueError)     a set of weights cannot be used
    │   ├── UnknownCheckpoint            the file or folder is in no format we read
    │   ├── CorruptedCheckpoint          in a known format, but damaged or cut short
    │   ├── UnsupportedCheckpoint        a model with a part that ours do not have
    │   ├── UnsafeCheckpoint             a pickle that wants to call something
    │   ├── CheckpointMismatch           tensors missing, left over or of the wrong shape
    │   └── CheckpointUnavailable        neither on disk, nor in the cache, nor on the hub
    ├── NonFiniteStates (ArithmeticError)    a model's output for a recording is NaN or infinite
    ├── ExportError (ArithmeticError)    a graph that does not compute what its model does
    ├── ConfigurationError (ValueError)  a setting that does not exist or does not fit
    ├── UnknownName (LookupError)        a model, layer, recipe or preset that we do not know
    ├── ManifestError (ValueError)       a list of recordings that cannot be read
    ├── MeasurementError (ValueError)    numbers that cannot be scored, probed or compared
    ├── RankError (RuntimeError)         another process of the same training failed
    ├── LostProcess (ConnectionError)    another process of the same training was killed
    └── MissingExtra (ImportError)       an optional package is needed

    SonantWarning (UserWarning)          the result stands, but something about it should be known
    ├── AudioWarning                     a recording was read, though its file is odd
    └── ModelWarning                     a model runs, though not as its owner may believe

A message says what was given, what was expected, the likely cause and the cure.
"""

import re
import sys
import warnings
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def one_line(text: str) -> str:
    r"""Text whose control characters and ends of lines are escaped: the byte 1b, which begins a color, as \x1b."""
    return _CONTROLS.sub(lambda match: "".join(f"\\x{byte:02x}" for byte in match[0].encode()), text)


def some_of(names: Sequence[str], most: int, *, rest: str = "more") -> str:
    """Names for a message, separated by commas: the first `most` of them and the number of others."""
    others = len(names) - most
    return ", ".join(names[:most]) + (f" and {others} {rest}" if others > 0 else "")


class _Printable:
    """A message that a terminal can show, whatever stands in the names of files that it tells of."""

    def __str__(self) -> str:
        return "\n".join(map(one_line, super().__str__().split("\n")))


class _OneLine:
    """A message about a recording, in whose name an end of line may stand."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class SonantError(_Printable, Exception):
    """The root: `except SonantError` catches whatever sonant raises on purpose."""


class AudioError(_OneLine, SonantError, ValueError):
    """One recording cannot be used; bulk jobs record it and go on."""


class AudioNotFound(AudioError):
    """The path leads nowhere."""


class UndecodableAudio(AudioError):
    """The bytes are not audio, or in a format that no reader here knows."""


class TruncatedAudio(AudioError):
    """The file promises more samples than it holds."""


class EmptyAudio(AudioError):
    """The recording holds no samples."""


class TooShortAudio(AudioError):
    """The recording is shorter than one frame of the model."""


class OversizedAudio(AudioError):
    """The recording is, or decodes to, more than the reader was told to take."""


class MissingChannel(AudioError):
    """The recording has no channel of the number that was asked for."""


class MissingSegment(AudioError):
    """The recording ends before the segment that was asked for."""


class NonFiniteAudio(AudioError):
    """The recording holds NaN or infinite samples."""


class NoSpeech(AudioError):
    """Nothing in the recording is loud enough to be speech."""


class TooLittleSpeech(AudioError):
    """The recording has too little speech to enroll a voice."""


class SeveralVoices(AudioError):
    """The recording has the speech of several people, where one is to be enrolled."""


class RecordingEnrolled(AudioError):
    """The recording is enrolled as another person."""


class UnalignableText(AudioError):
    """The text of the recording is empty, too long for it, or cannot be spelled in the units of the model."""


class CheckpointError(SonantError, ValueError):
    """A set of weights cannot be used."""


class UnknownCheckpoint(CheckpointError):
    """The file or folder is in no format that we read."""


class CorruptedCheckpoint(CheckpointError):
    """The file is in a known format, but damaged or cut short."""


class UnsupportedCheckpoint(CheckpointError):
    """The model has a part that ours do not have; the message names it."""


class UnsafeCheckpoint(CheckpointError):
    """The pickle wants to call something; it was refused before anything ran."""


class CheckpointMismatch(CheckpointError):
    """Tensors are missing, left over or of the wrong shape."""


class CheckpointUnavailable(CheckpointError):
    """The weights are neither on disk, nor in the cache, nor on the hub."""


class NonFiniteStates(SonantError, ArithmeticError):
    """A model's output is NaN or infinite: because of its weights, the range of its number type, or the samples."""


class ExportError(SonantError, ArithmeticError):
    """A graph was made that does not compute what its model does; it was not kept."""


class ConfigurationError(SonantError, ValueError):
    """A setting that does not exist or does not fit the others."""


class ManifestError(SonantError, ValueError):
    """A list of recordings that cannot be read."""


class MeasurementError(SonantError, ValueError):
    """Numbers that cannot be scored, probed or compared: shapes that differ, NaN, one class only."""


class RankError(SonantError, RuntimeError):
    """Another process of the same training failed, and shows its own error."""


class LostProcess(SonantError, ConnectionError):
    """Another process of the same training ended without an error: killed, or its machine is gone."""


class SonantWarning(_Printable, UserWarning):
    """The result stands, but something about it should be known."""


class AudioWarning(_OneLine, SonantWarning):
    """A recording was read, though its file is odd: a wrong length in its header, channels that cancel."""


class ModelWarning(SonantWarning):
    """A model runs, but not as may be expected: more slowly, or without a part of its file."""


def warn(message: str, kind: type[SonantWarning]) -> None:
    """Warn at the caller's own line that led here: the nearest one outside this package."""
    depth, frame = 1, sys._getframe()  # noqa: SLF001 - what `inspect` uses too
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == __package__:
        depth, frame = depth + 1, frame.f_back
    warnings.warn(message, kind, stacklevel=depth)


class MissingExtra(SonantError, ImportError):
    """An optional package is needed; the message says how to install it, and which extra of sonant holds it."""

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. Install it with: "
            f"{pip_install(extra, package)}  (the extra {extra!r} of sonant)"
        )


def pip_install(extra: str, package: str) -> str:
    """The command that installs what an extra of sonant still lacks.

    It names the packages themselves, with the versions that sonant's own metadata asks for, so that it works whether
    sonant came from a checkout, a wheel or an index. Where sonant runs without being installed, it names `package`.
    """
    wanted = _requirements(extra) or [package]
    missing = [requirement for requirement in wanted if not _is_installed(requirement)]
    return "pip install " + " ".join(f"'{requirement}'" for requirement in missing or wanted)


def _requirements(extra: str) -> list[str]:
    """Return the requirements of an extra of the installed sonant and of extras it names; empty if not installed."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        lines = requires("sonant") or []
    except PackageNotFoundError:
        return []
    found = []
    for line in lines:  # such as `av>=14; sys_platform != "win32" and extra == "audio"`
        requirement, _, marker = line.partition(";")
        others = [part.strip("() ") for part in marker.split(" and ")]
        if f'extra == "{extra}"' not in (part.replace("'", '"') for part in others):
            continue
        inner = re.fullmatch(r"sonant\[([\w,\s-]+)\]", requirement.strip())
        if inner is not None:
            found += [each for name in inner[1].split(",") for each in _requirements(name.strip())]
            continue
        conditions = " and ".join(part.replace("'", '"') for part in others if not part.startswith("extra "))
        found.append(f"{requirement.strip()}; {conditions}" if conditions else requirement.strip())
    return list(dict.fromkeys(found))


def _is_installed(requirement: str) -> bool:
    from importlib.metadata import PackageNotFoundError, distribution

    name = re.match(r"[\w.-]+", requirement)
    try:
        distribution(name[0] if name else requirement)
    except PackageNotFoundError:
        return False
    return True


class UnknownName(SonantError, LookupError):
    """A name that is in none of our tables; the message lists the known ones, and those that are near it.

    Args:
        kind: what it should name.
        given: what was given.
        known: the names that there are.
        hint: a sentence in place of the near names.
        listed: a sentence in place of all known names, where these are too many to be read.
    """

    def __init__(self, kind: str, given: object, known: Iterable[object], *, hint: str = "", listed: str = "") -> None:
        names = [str(name) for name in known]
        listed = listed or f"Known: {', '.join(names)}."
        if hint:
            super().__init__(f"There is no {kind} {given!r}. {hint} {listed}")
            return
        near = [] if isinstance(given, int) else get_close_matches(str(given), names, n=3, cutoff=0.5)
        near = near or [name for name in names if str(given) and str(given).lower() in name.lower()][:3]
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        super().__init__(f"There is no {kind} {given!r}.{hint} {listed}")
