"""Every error that sonant raises on purpose.

    SonantError
    ├── AudioError (ValueError)          one recording cannot be used
    │   ├── AudioNotFound                the path leads nowhere
    │   ├── UndecodableAudio             not audio, or in a format that no reader here knows
    │   ├── TruncatedAudio               the file promises more samples than it holds
    │   ├── EmptyAudio                   no samples at all
    │   ├── TooShortAudio                less than one frame of the model
    │   ├── OversizedAudio               more than the reader was told to take
    │   └── NonFiniteAudio               NaN or infinite samples
    ├── CheckpointError (ValueError)     a set of weights cannot be used
    │   ├── UnknownCheckpoint            the file or folder is in no format we read
    │   ├── CorruptedCheckpoint          in a known format, but damaged or cut short
    │   ├── UnsupportedCheckpoint        a model with a part that ours do not have
    │   ├── UnsafeCheckpoint             a pickle that wants to call something
    │   ├── CheckpointMismatch           tensors missing, left over or of the wrong shape
    │   └── CheckpointUnavailable        neither on disk, nor in the cache, nor on the hub
    ├── ExportError (ArithmeticError)    a graph that does not compute what its model does
    ├── ConfigurationError (ValueError)  a setting that does not exist or does not fit
    ├── UnknownName (LookupError)        a model, layer, recipe or preset that we do not know
    ├── ManifestError (ValueError)       a list of recordings that cannot be read
    ├── MeasurementError (ValueError)    numbers that cannot be scored, probed or compared
    └── MissingExtra (ImportError)       an optional package is needed

    SonantWarning (UserWarning)          the result stands, but something about it should be known
    ├── AudioWarning                     a recording was read, though its file is odd
    └── ModelWarning                     a model runs, though not as its owner may believe

A message says what was given, what was expected, the likely cause and the cure.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class SonantError(Exception):
    """The root: `except SonantError` catches whatever sonant raises on purpose."""


class AudioError(SonantError, ValueError):
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


class NonFiniteAudio(AudioError):
    """The recording holds NaN or infinite samples."""


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


class ExportError(SonantError, ArithmeticError):
    """A graph was made that does not compute what its model does; it was not kept."""


class ConfigurationError(SonantError, ValueError):
    """A setting that does not exist or does not fit the others."""


class ManifestError(SonantError, ValueError):
    """A list of recordings that cannot be read."""


class MeasurementError(SonantError, ValueError):
    """Numbers that cannot be scored, probed or compared: shapes that differ, NaN, one class only."""


class SonantWarning(UserWarning):
    """The result stands, but something about it should be known."""


class AudioWarning(SonantWarning):
    """A recording was read, though its file is odd: a wrong length in its header, channels that cancel."""


class ModelWarning(SonantWarning):
    """A model runs, though not as its owner may believe: more slowly, or with a part left aside."""


class MissingExtra(SonantError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. Install it with: "
            f"pip install 'sonant[{extra}]'"
        )


class UnknownName(SonantError, LookupError):
    """A name that is in none of our tables; the message lists the known ones, nearest first."""

    def __init__(self, kind: str, given: object, known: Iterable[object]) -> None:
        names = [str(name) for name in known]
        near = get_close_matches(str(given), names, n=3, cutoff=0.5)
        near = near or [name for name in names if str(given) and str(given).lower() in name.lower()][:3]
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        super().__init__(f"There is no {kind} {given!r}.{hint} Known: {', '.join(names)}.")
