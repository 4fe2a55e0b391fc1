"""Benchmark cases: clips of noise, alone or in a batch, and a folder of short files."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

# 2 to 15 s, like utterances of read speech, in random order.
MIXED_SECONDS = (15.0, 2.0, 8.5, 11.2, 3.1, 6.4, 13.7, 4.9, 9.3, 2.6, 12.1, 7.2, 5.5, 14.3, 10.6, 3.8)


@dataclass(frozen=True)
class Case:
    """A set of clips that are encoded together.

    Attributes:
        name: in commands.
        title: in tables.
        seconds: length of each clip.
        checked: number of clips whose states are all compared. With 0, only the output of a measured pass is compared,
            which saves a pass that keeps all states.
    """

    name: str
    title: str
    seconds: tuple[float, ...]
    checked: int = 1

    @property
    def total_seconds(self) -> float:
        return sum(self.seconds)

    def clips(self, sampling_rate: int, num: int | None = None) -> list[Tensor]:
        """Return the first `num` clips, or all, each (samples,): noise, as zeros may be faster than speech."""
        generator = torch.Generator().manual_seed(0)
        lengths = [round(seconds * sampling_rate) for seconds in self.seconds[:num]]
        return [torch.randn(length, generator=generator) for length in lengths]


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case("1s", "one clip of 1 s", (1.0,)),
        Case("10s", "one clip of 10 s", (10.0,)),
        Case("30s", "one clip of 30 s", (30.0,), checked=0),
        Case("60s", "one clip of 60 s", (60.0,), checked=0),
        Case("120s", "one clip of 120 s", (120.0,), checked=0),
        Case("batch", "16 clips of 2 to 15 s", MIXED_SECONDS, checked=2),
    )
}
Special = Literal["corpus", "memory", "profile"]
SPECIAL: dict[Special, str] = {
    "corpus": "a folder of short files through the whole engine, beside batches found by hand",
    "memory": "peak memory of one pass, from 1 s to 20 min",
    "profile": "what the time of one clip of 10 s goes into",
}
