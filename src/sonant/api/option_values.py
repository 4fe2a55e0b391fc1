"""Values of options: their defaults, and what they may be."""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, TypeVar

from sonant.api.options import BulkOptions, ComputingOptions, DecodingOptions, InferenceOptions
from sonant.audio import Channel
from sonant.audio.channels import check_channel
from sonant.errors import ConfigurationError, UnknownName
from sonant.extraction.decoder_options import DecoderOptions
from sonant.extraction.request import WINDOW_SECONDS

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
    """Return options of the method `verb`, completed by defaults.

    Raises:
        UnknownName: no such option or value of on_error.
        ConfigurationError: an invalid channel.
    """
    for name in options:
        if name not in defaults:
            parameters = signature(verb).parameters.values()
            own: list[str] = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
            if "transcri" in verb.__name__:
                own += DecodingOptions.__annotations__
            raise UnknownName("option", name, [*own, *defaults])
    complete: Any = {**defaults, **options}
    if complete["on_error"] not in ("raise", "skip"):
        raise UnknownName("way to treat unusable recordings", complete["on_error"], ["raise", "skip"])
    check_channel(complete["channel"])
    return complete


def without_decoding(options: Mapping[str, Any]) -> tuple[DecoderOptions, dict[str, Any]]:
    """Return the options of decoding, and the others.

    Raises ConfigurationError: a value that does not fit.
    """
    names = DecodingOptions.__annotations__
    own = {name: value for name, value in options.items() if name in names}
    return DecoderOptions(**own), {name: value for name, value in options.items() if name not in names}


def check_one_channel(channel: Channel | None) -> None:
    """Raise ConfigurationError for channel="all", which has no meaning in a comparison of two recordings."""
    if channel == "all":
        raise ConfigurationError(
            'channel="all" was given, and one voice is compared with one: name a channel by its number, or "mix".'
        )


def of_request(options: Mapping[str, object]) -> dict[str, Any]:
    """Return the options that are fields of `EncodeRequest`."""
    return {name: options[name] for name in ("batch_seconds", "window_seconds", "overlap_seconds")}
