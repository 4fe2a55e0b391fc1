"""Enhancement of speech and separation of speakers, by masks on the spectrum of a mixture."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.data import ManifestEntry
from sonant.data.mixtures import Mixture
from sonant.errors import ConfigurationError, ManifestError, MeasurementError, MissingExtra, SonantWarning, warn
from sonant.evaluation import pesq, separation_scores, si_sdr, stoi
from sonant.evaluation.bootstrap import measured_ratio
from sonant.layers.packed import Packed
from sonant.layers.stft import STFT
from sonant.loss import Loss
from sonant.tasks import LayerMix, MaskedMixture, MaskHead, MaskNetwork
from sonant.tasks.separation_loss import best_order, by_clip, phase_sensitive_pairs, si_sdr_pairs
from sonant.training.run_folder import content_of, stored
from sonant.training.tasks.mixer import Mixer, SourceMixing
from sonant.training.tasks.results import Prediction, TaskResult, groups_of
from sonant.training.tasks.task import Columns, Task
from sonant.training.validation import Criterion

TARGET = "target"  # field that the task adds to rows
MOST_SPEAKERS = 5  # all orders of them are tried
SILENCE = 1e-10  # mean power of a target, below which nothing can be measured
CLEAN_DB = 60.0  # SI-SDR of a mixture that is a target, apart from rounding: nothing can be improved


@dataclass(frozen=True, kw_only=True)
class MaskTask(Task):
    """Estimates of the sources of mixtures: a mask for each on the spectrum of the mixture.

    A row of a manifest is a mixture if it has sources, and otherwise a single speaker, of whom mixtures are made while
    training. The metric is the improvement of the SI-SDR over the mixture; recordings with silent sources, and those
    whose mixture is a source itself, are counted and left out.

    Attributes:
        mixtures: "made" mixes the rows that have no sources; "given" refuses them.
        targets: fields with the files of a mixture's sources; paths start at the folder of the manifest. A row with
            "mix" has its parts, one source a speaker; a part without "speaker" is noise.
        mixing: of single speakers.
        objective: "phase_sensitive", the squared error of masked magnitudes, or "si_sdr", the negative SI-SDR in dB of
            the waveforms.
        stft, inputs, hidden_dim, num_layers, bidirectional, dropout: as in `sonant.tasks.MaskNetwork`.
    """

    criterion: ClassVar[Criterion] = Criterion("si_sdr_improvement", higher_is_better=True)
    is_of_every_part: ClassVar[bool] = True
    label_title: ClassVar[str] = "sources"

    mixtures: Literal["made", "given"] = "made"
    targets: tuple[str, ...] = ()
    mixing: SourceMixing = SourceMixing()
    objective: Literal["phase_sensitive", "si_sdr"] = "si_sdr"
    stft: STFT = STFT()
    inputs: Literal["states", "spectrum", "both"] = "both"
    hidden_dim: int = 256
    num_layers: int = 2
    bidirectional: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if len(self.targets) != self.num_sources:
            raise ConfigurationError(
                f"task.targets={list(self.targets)} was given for {self.num_sources} sources; expected one field for "
                "each of them."
            )

    @property
    def num_sources(self) -> int:
        """The number of sources in a mixture."""
        return 1

    @property
    def is_for_transformers(self) -> bool:
        return False

    @property
    def makes_recordings(self) -> bool:
        return self.mixtures == "made"

    def recordings(self, manifest: str, column: Columns) -> list[ManifestEntry]:
        folder = Path(manifest) if Path(manifest).is_dir() else Path(manifest).parent
        return [
            replace(entry, fields={**entry.fields, TARGET: self._target(entry, folder)})
            for entry in super().recordings(manifest, column)
        ]

    def _target(self, entry: ManifestEntry, folder: Path) -> Any:
        """Return sources of a mixture, the name of a single speaker, or the error of a row that is neither."""
        try:
            if sources := self._sources(entry, folder):
                return sources
        except ManifestError as error:
            return error
        if self.mixtures == "given":
            return ManifestError(f"none of {', '.join(self.targets)}, nor 'mix'")
        speaker = entry.text_in("speaker")
        if speaker is None and self.num_sources > 1:
            return ManifestError("no 'speaker', so that one speaker may be mixed with himself")
        return speaker or entry.identity

    def _sources(self, entry: ManifestEntry, folder: Path) -> list[ManifestEntry]:
        if entry.mixture is not None:
            spoken: dict[str, list[Any]] = {}
            for part in entry.mixture.parts:
                if (speaker := part.fields.get("speaker")) not in (None, ""):
                    spoken.setdefault(str(speaker), []).append(part)
            if len(spoken) != self.num_sources:
                raise ManifestError(
                    f"its 'mix' has {len(spoken)} speaker{'s' * (len(spoken) != 1)}; expected {self.num_sources}"
                )
            seconds = entry.seconds() if entry.has_files() else None
            return [
                ManifestEntry(entry.path, seconds, mixture=Mixture(tuple(parts), seconds)) for parts in spoken.values()
            ]
        named = [name for name in self.targets if entry.text_in(name)]
        if not named:
            return []
        found = [ManifestEntry(folder / str(entry.fields[name])) for name in named]
        if len(named) < self.num_sources:
            raise ManifestError(f"only {', '.join(named)} of {', '.join(self.targets)}")
        if missing := [each.name for each in found if not each.has_files()]:
            raise ManifestError(f"there is no {missing[0]}")
        return [replace(each, segment=entry.segment) for each in found]

    def normalized(self, value: Any) -> str:
        if isinstance(value, ManifestError):
            raise value
        return "mixture" if isinstance(value, list) else str(value)

    def sources(self, entry: ManifestEntry) -> list[ManifestEntry]:
        value = entry.fields[TARGET]
        return value if isinstance(value, list) else []

    def mixer(
        self,
        name: str,
        *,
        given: Mapping[int, Sequence[int]],
        labels: Mapping[int, str],
        folder: Path,
        sampling_rate: int,
    ) -> Mixer:
        mixing = self.mixing
        if not labels:
            return Mixer(self.num_sources, mixing, given, labels)
        mixing.check()
        which = "dev_noise" if name != "train" and mixing.dev_noise else "noise"
        noises = stored(getattr(mixing, which) if mixing.noise_probability else "", folder / which, sampling_rate)
        rooms = stored(
            mixing.impulse_responses if mixing.reverb_probability else "", folder / "impulse_responses", sampling_rate
        )
        content = json.dumps([content_of(noises), content_of(rooms)])
        return Mixer(self.num_sources, mixing, given, labels, noises, rooms, content)

    def units(self, label: str) -> list[str]:  # noqa: ARG002
        return []

    def target(self, label: str, numbers: Mapping[str, int]) -> Tensor:  # noqa: ARG002
        return torch.zeros(0)  # the sources are, which `mixer` gives

    def head(self, dim: int, classes: Sequence[str], mix: LayerMix) -> MaskHead:  # noqa: ARG002
        network = MaskNetwork(
            num_sources=self.num_sources,
            stft=self.stft,
            inputs=self.inputs,
            hidden_dim=self.hidden_dim,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            dropout=self.dropout,
        )
        return MaskHead(dim, network, LayerMix() if self.inputs == "spectrum" else mix)

    def loss(
        self,
        outputs: MaskedMixture,
        targets: Packed,
        classes: Sequence[str],  # noqa: ARG002
        *,
        training: bool,  # noqa: ARG002
    ) -> Loss:
        seconds = targets.lengths.to(targets.values.device)[:, None]
        heard = by_clip(targets.with_values(targets.values.float().square())) / seconds > SILENCE  # (batch, sources)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.objective == "si_sdr"):
            pairs = si_sdr_pairs(outputs.waveforms, targets) * heard[:, None]
            ratio = -best_order(-pairs) * self.num_sources  # (batch,), of all sources that are heard
        with torch.no_grad():
            before = (si_sdr_pairs(outputs.mixture, targets)[:, 0] * heard).sum()
        count = heard.sum()
        metrics = {"si_sdr": (ratio.sum(), count), "si_sdr_improvement": (ratio.sum() - before, count)}
        if self.objective == "si_sdr":
            return Loss(-ratio.sum(), count.clamp(min=1), metrics)
        errors = best_order(phase_sensitive_pairs(outputs, targets))
        return Loss(errors.sum(), len(outputs.spectrum.values), metrics)

    def predicted(self, outputs: MaskedMixture) -> Iterable[Tensor]:
        """Return the estimates of the sources, and behind them the mixture: (samples, sources + 1) each."""
        both = torch.cat([outputs.waveforms.values, outputs.mixture.values], dim=1)
        return outputs.mixture.with_values(both).unpack()

    def result(self, predictions: Iterable[Prediction], classes: Sequence[str]) -> TaskResult:  # noqa: ARG002
        scores: list[dict[str, float]] = []
        speakers: list[str | None] = []
        silent = clean = 0
        for each in predictions:
            sources, found = each.target.double().numpy().T, each.output.double().numpy().T
            if (np.square(sources).mean(1) <= SILENCE).any():
                silent += 1
                continue
            if (si_sdr(np.broadcast_to(found[-1], sources.shape), sources) > CLEAN_DB).any():
                clean += 1
                continue
            one = separation_scores(found[:-1], sources, found[-1])
            ratios = {"si_sdr": float(one.si_sdr.mean()), "si_sdr_improvement": float(one.improvement.mean())}
            scores.append(ratios | self.quality(found[:-1], sources, each.sampling_rate))
            speakers.append(each.speaker)
        left_out = {"silent": silent, "clean": clean}
        if not scores:
            warn(
                f"Of {silent + clean} recordings, {silent} have a silent source, and {clean} are a source themselves, "
                "so that nothing is known of the estimates. Take a development set of mixtures with sound in all "
                "sources.",
                SonantWarning,
            )
            return TaskResult({"recordings": 0} | left_out)
        measures = {}
        for name in dict.fromkeys(name for each in scores for name in each):
            having = [number for number, each in enumerate(scores) if name in each]
            groups = groups_of([speakers[number] for number in having])
            measures[name] = measured_ratio([scores[number][name] for number in having], groups)
        return TaskResult({"recordings": len(scores)} | left_out | measures)

    def quality(
        self,
        estimates: NDArray[np.float64],  # noqa: ARG002
        sources: NDArray[np.float64],  # noqa: ARG002
        sampling_rate: int,  # noqa: ARG002
    ) -> dict[str, float]:
        """Return further measures of the estimates of a recording, (sources, samples), as far as they are defined."""
        return {}

    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        return {"labels": list(classes)}


@dataclass(frozen=True, kw_only=True)
class EnhancementTask(MaskTask):
    """Speech without noise or reverberation; see `MaskTask`.

    STOI and, where the package pesq is installed, PESQ are measured too, of recordings that are long and loud enough.
    """

    kind: ClassVar[str] = "enhancement"

    targets: tuple[str, ...] = ("clean",)

    def quality(
        self, estimates: NDArray[np.float64], sources: NDArray[np.float64], sampling_rate: int
    ) -> dict[str, float]:
        found = {}
        for measure in (stoi, pesq):
            with suppress(MeasurementError, MissingExtra):
                found[measure.__name__] = measure(estimates[0], sources[0], sampling_rate)
        return found

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        return ("speech",)


@dataclass(frozen=True, kw_only=True)
class SeparationTask(MaskTask):
    """The speakers of a mixture, in an arbitrary order; see `MaskTask`.

    The loss is that of the order of the estimates that fits best (permutation-invariant training, Kolbaek et al. 2017).

    Attributes:
        num_speakers: in every mixture.
    """

    kind: ClassVar[str] = "separation"

    num_speakers: int = 2
    targets: tuple[str, ...] = ("source_1", "source_2")

    def __post_init__(self) -> None:
        if not 2 <= self.num_speakers <= MOST_SPEAKERS:
            raise ConfigurationError(f"num_speakers={self.num_speakers} was given; expected 2 to {MOST_SPEAKERS}.")
        super().__post_init__()

    @property
    def num_sources(self) -> int:
        return self.num_speakers

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        return tuple(f"speaker_{number}" for number in range(1, self.num_speakers + 1))
