"""The recordings of one call: one or several, whole or by channel."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sonant.api.audio_inputs import AudioInput, AudioInputs
from sonant.audio import Channel
from sonant.data import ManifestEntry
from sonant.errors import ConfigurationError
from sonant.extraction.channels import by_channel
from sonant.extraction.engine import Outcome
from sonant.extraction.sources import AudioSource, channel_of, is_many, rewound


class Recordings:
    """The sources of one call's recordings, and the arrangement of their results into its answer.

    Attributes:
        sources: one per recording, or per channel.
        count: number of recordings.
    """

    def __init__(
        self,
        audio: AudioInput | AudioInputs,
        sampling_rate: int,
        *,
        source_rate: int | None,
        channel: Channel | None,
        min_samples: int,
        twice_at_once: bool,
        text: str | Sequence[str] | None = None,
    ) -> None:
        """Make the sources.

        Args:
            sampling_rate: the model's; source_rate: of arrays, None: the model's.
            channel: see `InferenceOptions`.
            min_samples: least length of a recording.
            twice_at_once: whether two readers use a recording at the same time.
            text: what is said in the recording, or in each of several.
        """
        self._is_many, self._by_channel = is_many(audio), channel == "all"

        def source(item: Any) -> AudioSource:
            if isinstance(item, ManifestEntry):
                return AudioSource(
                    rewound(item.audio),
                    sampling_rate,
                    min_samples,
                    known_seconds=item.duration,
                    label=str(item.path),
                    channel=channel_of(item, channel),
                    segment=item.segment,
                )
            given = rewound(item, twice_at_once=twice_at_once or self._by_channel)
            return AudioSource(given, sampling_rate, min_samples, source_rate=source_rate, channel=channel)

        whole = [source(item) for item in listed(audio)]
        if text is not None:
            texts = _one_each(text, len(whole), is_many=self._is_many)
            whole = [replace(source, text=own) for source, own in zip(whole, texts, strict=True)]
        self.count = len(whole)
        self._groups = by_channel(whole)
        self.sources = [source for group in self._groups for source in group]

    def failures(self, outcomes: Sequence[Outcome]) -> list[tuple[int, Exception]]:
        """Return the indices of unusable recordings and their errors; an error of all channels is listed once."""
        unique: dict[tuple[int, str], Exception] = {}
        for outcome in outcomes:
            if outcome.error is not None:
                number = self.sources[outcome.item].number
                key = (outcome.item if number is None else number, str(outcome.error))
                unique.setdefault(key, outcome.error)
        return [(number, error) for (number, _), error in sorted(unique.items(), key=lambda item: item[0][0])]

    def as_given(self, values: Sequence[Any]) -> Any:
        """Return the values of sources as the call's answer: by recording and channel; None for unusable ones."""
        rest = iter(values)
        answers = []
        for group in self._groups:
            of_group = [next(rest) for _ in group]
            usable = any(value is not None for value in of_group)
            answers.append(of_group[0] if not self._by_channel else of_group if usable else None)
        return answers if self._is_many else answers[0]


def listed(audio: AudioInput | AudioInputs) -> list[Any]:
    """Return a list of the recordings, even for a single one."""
    given: Any = audio
    return list(given) if is_many(given) else [given]


def _one_each(text: str | Sequence[str], count: int, *, is_many: bool) -> list[str]:
    """Return the text of each recording; raise ConfigurationError unless there is one for each."""
    texts = [text] if isinstance(text, str) else list(text)
    if isinstance(text, str) == is_many or len(texts) != count or not all(isinstance(each, str) for each in texts):
        given = "one text" if isinstance(text, str) else f"a list of {len(texts)} texts"
        raise ConfigurationError(
            f"{given} was given for {f'a list of {count} recordings' if is_many else 'one recording'}; expected "
            f"{'a list with a text for each' if is_many else 'one text, whose lines end in line breaks'}."
        )
    return texts


def paired(a: AudioInput | AudioInputs, b: AudioInput | AudioInputs) -> tuple[list[Any], list[Any]]:
    """Return both sides of a comparison as lists; raise ConfigurationError unless their lengths are equal."""
    left, right = listed(a), listed(b)
    if len(left) != len(right) or is_many(a) != is_many(b):
        raise ConfigurationError(
            f"{len(left)} and {len(right)} recordings were given; they are compared in pairs: give two recordings, "
            "or two lists of the same length."
        )
    return left, right
