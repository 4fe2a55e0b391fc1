"""Types of the recordings that the public functions take, one or several, and of their answers."""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Protocol, TypeAlias, TypeVar

from numpy.typing import NDArray
from torch import Tensor

from sonant.data import ManifestEntry

Answer = TypeVar("Answer")


class BinaryFile(Protocol):
    """A file object opened for reading bytes."""

    def read(self, size: int = -1, /) -> bytes: ...


class Decoder(Protocol):
    """A decoder of torchcodec."""

    def get_all_samples(self) -> Any: ...


Samples: TypeAlias = NDArray[Any] | Tensor | Sequence[float]
Container: TypeAlias = (  # a recording with its sampling rate
    str
    | PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryFile
    | Decoder
    | tuple[Samples, int]
    | tuple[int, Samples]
    | Mapping[str, Any]
    | ManifestEntry
)
AudioInput: TypeAlias = Container | Samples
"""One recording: path, bytes, file object, array, tensor, `(array, rate)` or `{"array", "sampling_rate"}`."""

AudioInputs: TypeAlias = Sequence[AudioInput] | Iterator[AudioInput]
"""Several recordings."""

OneAnswer: TypeAlias = Answer | Sequence[Answer | None] | None
"""The answer for one recording: None if it is unusable, a list with channel="all"."""

ManyAnswers: TypeAlias = Sequence[Answer | None] | Sequence[Sequence[Answer | None] | None]
"""The answers of several recordings."""

Answers: TypeAlias = OneAnswer[Answer] | ManyAnswers[Answer]
