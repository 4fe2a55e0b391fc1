"""Options that commands share: each field is a flag, see `command_line`."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sonant.errors import ConfigurationError

if TYPE_CHECKING:
    from sonant.api import SpeechEncoder


@dataclass(frozen=True, kw_only=True)
class CheckpointFlags:
    """Options of reading a checkpoint.

    Attributes:
        language (LANG): of a model with adapters by language (MMS), such as fra or fr. Without it: that of its weights.
        revision (REV): branch, tag or commit on the hub.
        override (SETTINGS): settings that win over what the checkpoint says, as 'name=value name=value'; files of
            torchaudio do not say everything.
    """

    language: str | None = None
    revision: str | None = None
    override: str = ""

    @property
    def overrides(self) -> dict[str, Any]:
        """The settings of `override` by name; values are JSON, or words."""
        settings: dict[str, Any] = {}
        for part in self.override.split():
            name, equals, value = part.partition("=")
            if not name or not equals:
                raise ConfigurationError(
                    f"--override was given {part!r}; expected name=value, several with blanks between."
                )
            try:
                settings[name] = json.loads(value)
            except ValueError:
                settings[name] = value
            if isinstance(settings[name], list):
                settings[name] = tuple(settings[name])
        return settings


@dataclass(frozen=True, kw_only=True)
class ModelFlags(CheckpointFlags):
    """Options of loading a model.

    Attributes:
        device: cpu, cuda, cuda:0,cuda:1 ... Without it: a GPU if there is one.
        precision: of the arithmetic. Without it: that of the weights, float32.
    """

    device: list[str] | None = None
    precision: Literal["float32", "bfloat16", "float16", "int8"] | None = None

    def load(self, model: str) -> "SpeechEncoder":
        """Load a model with these options."""
        from sonant.api import load

        return load(
            model,
            device=self.device,
            precision=self.precision,
            language=self.language,
            revision=self.revision,
            overrides=self.overrides,
        )


@dataclass(frozen=True, kw_only=True)
class InferenceFlags(ModelFlags):
    """Options of running a model.

    Attributes:
        batch_seconds: audio in a forward pass. Without it: chosen for the device.
        window_seconds: longer recordings are cut into windows of this length; 0 never cuts.
        overlap_seconds: overlap of neighboring windows. Without it: 8, or a quarter of windows below 32.
    """

    batch_seconds: float | None = None
    window_seconds: float = 60.0
    overlap_seconds: float | None = None

    def keywords(self) -> dict[str, Any]:
        """Return these options as keyword arguments of the Python methods."""
        return {
            "batch_seconds": self.batch_seconds,
            "window_seconds": self.window_seconds or None,
            "overlap_seconds": self.overlap_seconds,
        }


@dataclass(frozen=True, kw_only=True)
class JobFlags(InferenceFlags):
    """Options of running a model over many recordings.

    Attributes:
        channel (mix|N|all): the mean of a recording's channels, one of them, counted from 0, or each by itself. Without
            it: mix.
        on_error: skip a recording that cannot be used and go on (the exit code is then 1), or raise.
    """

    channel: int | Literal["mix", "all"] | None = None
    on_error: Literal["skip", "raise"] = "skip"

    def keywords(self) -> dict[str, Any]:
        return {**super().keywords(), "channel": self.channel, "on_error": self.on_error}
