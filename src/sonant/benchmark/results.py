"""What was measured, as JSON: written after every case, so that a run that is stopped loses one case and goes on."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sonant.benchmark.corpus import CorpusRow
from sonant.benchmark.deviation import Deviation
from sonant.benchmark.machine import Limits, Machine
from sonant.benchmark.profile import Profile, as_profile
from sonant.errors import ConfigurationError

VERSION = 1
FILE = "bench.json"


@dataclass
class Speed:
    """What one system did in one case.

    Attributes:
        model, case, system: by name.
        audio_seconds: of all clips together.
        gflop: billions of operations that the clips take, counted from the shape.
        floor_seconds: the least they can take on this machine in the system's precision.
        wall, cpu: seconds of each pass; of the clock, and of all cores of the process together.
        idle_memory, peak_memory: bytes, before the first pass and at most.
        deviation: from the reference's states; None for the reference.
        note: what the system said of itself, such as that it took another precision.
        stopped: why there is no more, or no measurement at all; None if all went well.
    """

    model: str
    case: str
    system: str
    audio_seconds: float
    gflop: float
    floor_seconds: float | None
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    idle_memory: int = 0
    peak_memory: int = 0
    deviation: Deviation | None = None
    note: str = ""
    stopped: str | None = None

    @property
    def seconds(self) -> float | None:
        """The median of the passes."""
        return statistics.median(self.wall) if self.wall else None

    @property
    def cpu_seconds(self) -> float | None:
        return statistics.median(self.cpu) if self.cpu else None

    @property
    def fraction_of_limit(self) -> float | None:
        return self.floor_seconds / self.seconds if self.floor_seconds and self.seconds else None

    @property
    def memory(self) -> int:
        """What the passes took beside the weights."""
        return max(0, self.peak_memory - self.idle_memory)


@dataclass
class MemoryPoint:
    """Of one pass over one clip.

    Attributes:
        layers: of the model; few, as the states of one are let go before the next, and memory hardly depends on them.
        memory: bytes beside the weights, at most.
    """

    model: str
    system: str
    clip_seconds: float
    layers: int
    memory: int | None = None
    wall: float | None = None
    stopped: str | None = None


@dataclass
class Corpus:
    """One model and precision."""

    model: str
    precision: str
    rows: list[CorpusRow]


@dataclass
class Profiled:
    """One model and system."""

    model: str
    system: str
    profile: Profile


@dataclass
class Results:
    """A run, or as much of it as there is by now.

    Attributes:
        settings: under which all of it was measured.
        missing: the systems that are not here, and why.
        left_out: what the plan held and time did not allow.
    """

    settings: dict[str, Any]
    machine: Machine | None = None
    limits: Limits | None = None
    speed: list[Speed] = field(default_factory=list)
    memory: list[MemoryPoint] = field(default_factory=list)
    corpus: list[Corpus] = field(default_factory=list)
    profiles: list[Profiled] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def find(self, model: str, case: str, system: str) -> Speed | None:
        return next((row for row in self.speed if (row.model, row.case, row.system) == (model, case, system)), None)

    def measured(self, model: str, case: str) -> set[str]:
        """The systems that one case has been measured with."""
        return {row.system for row in self.speed if (row.model, row.case) == (model, case)}

    def replace(self, rows: Iterable[Speed]) -> None:
        """Put the rows of one case in the place of older ones: ratios hold within one turn only."""
        rows = list(rows)
        cases = {(row.model, row.case) for row in rows}
        self.speed = [row for row in self.speed if (row.model, row.case) not in cases] + rows


def write(results: Results, folder: Path) -> Path:
    """Write in one step: a reader never sees half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    path, fresh = folder / FILE, folder / f"{FILE}.new"
    fresh.write_text(json.dumps({"version": VERSION, **asdict(results)}, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)
    return path


def read(path: Path) -> Results:
    """From a file, or from a folder that has one."""
    path = path / FILE if path.is_dir() else path
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("version") != VERSION:
            raise KeyError("version")
        return Results(
            settings=values["settings"],
            machine=Machine(**values["machine"]) if values["machine"] else None,
            limits=Limits(**values["limits"]) if values["limits"] else None,
            speed=[_speed(row) for row in values["speed"]],
            memory=[MemoryPoint(**row) for row in values["memory"]],
            corpus=[
                Corpus(row["model"], row["precision"], [CorpusRow(**way) for way in row["rows"]])
                for row in values["corpus"]
            ],
            profiles=[Profiled(row["model"], row["system"], as_profile(row["profile"])) for row in values["profiles"]],
            missing=values["missing"],
            left_out=values["left_out"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{path} is not a file that this version of sonant bench has written ({error}). Name another folder, or "
            "remove the file."
        ) from None


def _speed(row: dict[str, Any]) -> Speed:
    found = row.pop("deviation")
    return Speed(**row, deviation=Deviation(**found) if found else None)
