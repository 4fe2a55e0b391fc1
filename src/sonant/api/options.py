"""The options that all verbs on recordings share, each documented once, and their defaults."""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from os import PathLike
from typing import Any, BinaryIO, Literal, Required, TypedDict, TypeVar

from sonant.audio import Channel
from sonant.audio.channels import check_channel
from sonant.errors import ConfigurationError, UnknownName
from sonant.extraction.engine import OnError
from sonant.extraction.pooling import Pool
from sonant.extraction.request import WINDOW_SECONDS, Layer
from sonant.extraction.summary import WorkEstimate
from sonant.inference import Precision
from sonant.models.devices import Device
from sonant.models.families import Task
from sonant.pretraining.kmeans import KMeans

Layers = Layer | Literal["all"] | Sequence[Layer]
Clusters = str | PathLike[str] | KMeans
OnFailure = Callable[[int, Exception], None]


class ComputingOptions(TypedDict, total=False):
    """Options of how recordings are computed, whether their answers are returned or written.

    Attributes:
        batch_seconds: audio that shares one forward pass; None (the default): what suits the device. Halved when memory
            runs out.
        window_seconds: longer recordings are cut into windows and stitched; None never cuts. The default is 60.
        overlap_seconds: what neighboring windows share; every frame has at least half of it as context. None (the
            default): 8 s, or a quarter of windows shorter than 32 s. Units and tokens cannot be blended: those of a
            frame are taken from the window in whose middle it lies.
        precision: of the arithmetic. None (the default): that which `load` was given, else that of the weights.
            "float32"; "bfloat16", or "int8" (on a CPU), for more speed where states may differ a little (see
            docs/performance.md); "float16" (on a GPU).
        progress: a bar on stderr; None: if that is a terminal. The default is False for answers that are returned, and
            None for those that are written.
        device: where to compute this time; several share the work. None (the default): where the model is.
    """

    batch_seconds: float | None
    window_seconds: float | None
    overlap_seconds: float | None
    precision: Precision | None
    progress: bool | None
    device: Device | Sequence[Device] | None


class InferenceOptions(ComputingOptions, total=False):
    """Options of every verb that returns answers, as its keyword arguments; those of `ComputingOptions` too.

    Attributes:
        sampling_rate: of bare arrays; None (the default): they are at the model's.
        channel: None (the default) or "mix" takes the mean of a recording's channels, a number one of them, counted
            from 0; "all" gives a list with the answer of each channel in place of the answer. An array (several,
            samples) may be a batch, and is refused without it.
        on_error: "raise" (the default) raises for a recording that cannot be used; "skip" gives None for it, and warns.
        on_failure: called with the number of a recording that is skipped, and the error, in place of the warning.
    """

    sampling_rate: int | None
    channel: Channel | None
    on_error: OnError
    on_failure: OnFailure | None


class BulkOptions(ComputingOptions, total=False):
    """Options of every verb that writes answers to files, as its keyword arguments; those of `ComputingOptions` too.

    Attributes:
        channel: as in `InferenceOptions`; "all" gives each channel of a recording a file, row or line.
        on_error: "skip" (the default) lists a recording that cannot be used, and goes on; "raise" raises.
        on_start: called before anything is computed, with how much there is to do.
        on_failure: called with the name of each recording that could not be used, and the error.
        stdin: what the source "-" reads; None (the default): the program's own.
    """

    channel: Channel | None
    on_error: OnError
    on_start: Callable[[WorkEstimate], None] | None
    on_failure: Callable[[str, Exception], None] | None
    stdin: BinaryIO | None


class PlainOptions(ComputingOptions, total=False):
    """Those of `InferenceOptions` with which a recording has one answer."""

    sampling_rate: int | None
    channel: int | Literal["mix"] | None
    on_error: Literal["raise"]
    on_failure: OnFailure | None


class SkippingOptions(ComputingOptions, total=False):
    """Those of `InferenceOptions` with which a recording has one answer or None."""

    sampling_rate: int | None
    channel: int | Literal["mix"] | None
    on_error: Required[Literal["skip"]]
    on_failure: OnFailure | None


class VectorOptions(TypedDict, total=False):
    """Options of `SpeechEncoder.encode` alone."""

    layer: Layers | None
    pool: Pool | None
    task: Task | None
    normalize: bool


class PlainVector(VectorOptions, PlainOptions, total=False):
    """All options of `SpeechEncoder.encode`, such that a recording has one answer."""


class SkippingVector(VectorOptions, SkippingOptions, total=False):
    """All options of `SpeechEncoder.encode`, such that a recording has one answer or None."""


class AnyVector(VectorOptions, InferenceOptions, total=False):
    """All options of `SpeechEncoder.encode`."""


class UnitOptions(TypedDict, total=False):
    """Options of `SpeechEncoder.units` alone."""

    kmeans: Clusters | None
    layer: Layer | None


class PlainUnit(UnitOptions, PlainOptions, total=False):
    """All options of `SpeechEncoder.units`, such that a recording has one answer."""


class SkippingUnit(UnitOptions, SkippingOptions, total=False):
    """All options of `SpeechEncoder.units`, such that a recording has one answer or None."""


class AnyUnit(UnitOptions, InferenceOptions, total=False):
    """All options of `SpeechEncoder.units`."""


class SpeakerOptions(TypedDict, total=False):
    """Options of `SpeechEncoder.diarize` alone."""

    num_speakers: int | None
    threshold: float | None


class PlainSpeaker(SpeakerOptions, PlainOptions, total=False):
    """All options of `SpeechEncoder.diarize`, such that a recording has one answer."""


class SkippingSpeaker(SpeakerOptions, SkippingOptions, total=False):
    """All options of `SpeechEncoder.diarize`, such that a recording has one answer or None."""


class AnySpeaker(SpeakerOptions, InferenceOptions, total=False):
    """All options of `SpeechEncoder.diarize`."""


class ComparisonOptions(ComputingOptions, total=False):
    """Options of `SpeechEncoder.similarity`."""

    sampling_rate: int | None
    channel: int | Literal["mix"] | None
    on_error: OnError
    on_failure: OnFailure | None
    layer: Layer | None
    pool: Pool | None
    task: Task


COMPUTING: ComputingOptions = {
    "batch_seconds": None,
    "window_seconds": WINDOW_SECONDS,
    "overlap_seconds": None,
    "precision": None,
    "progress": False,
    "device": None,
}
INFERENCE: InferenceOptions = {
    **COMPUTING,
    "sampling_rate": None,
    "channel": None,
    "on_error": "raise",
    "on_failure": None,
}
BULK: BulkOptions = {
    **COMPUTING,
    "progress": None,
    "channel": None,
    "on_error": "skip",
    "on_start": None,
    "on_failure": None,
    "stdin": None,
}

Options = TypeVar("Options", InferenceOptions, BulkOptions)


def completed(options: Options, defaults: Options, verb: Callable[..., Any]) -> Options:
    """Return options of a verb with the defaults of those that are not given.

    Raises:
        UnknownName: there is no such option, or no such way to treat unusable recordings.
        ConfigurationError: there can be no such channel.
    """
    for name in options:
        if name not in defaults:
            parameters = signature(verb).parameters.values()
            own: list[str] = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
            raise UnknownName("option", name, [*own, *defaults])
    complete: Any = {**defaults, **options}
    if complete["on_error"] not in ("raise", "skip"):
        raise UnknownName("way to treat unusable recordings", complete["on_error"], ["raise", "skip"])
    check_channel(complete["channel"])
    return complete


def check_one_channel(channel: Channel | None) -> None:
    """Raise ConfigurationError for all channels where one voice is compared with one."""
    if channel == "all":
        raise ConfigurationError(
            'channel="all" was given, and one voice is compared with one: name a channel by its number, or "mix".'
        )


def of_request(options: Mapping[str, object]) -> dict[str, Any]:
    """Return those of the options that are fields of a `EncodeRequest`."""
    return {name: options[name] for name in ("batch_seconds", "window_seconds", "overlap_seconds")}
