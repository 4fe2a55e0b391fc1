"""MAEB's protocols on labeled recordings of one's own, for many models, layers and poolings at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np

from sonant.api.encoder import SpeechEncoder
from sonant.api.loading import encoder_of
from sonant.api.options import ComputingOptions
from sonant.data.files import as_path, atomic
from sonant.data.progress import Progress
from sonant.data.settings import write_settings
from sonant.errors import ConfigurationError, MeasurementError, UnknownName
from sonant.evaluation.maeb import (
    Kind,
    LabeledVectors,
    MaebScores,
    clustering,
    cross_validated_classification,
    drawn_pairs,
    few_shot_classification,
    pair_classification,
)
from sonant.evaluation.vectors import Standardizer
from sonant.integrations.maeb_data import ALONE, MaebData, groups_of, labeled_entries, maeb_data
from sonant.integrations.maeb_report import MaebRow, markdown, to_json
from sonant.integrations.maeb_states import PooledStates, StateStore
from sonant.integrations.state_choice import StateChoice, chosen_states

MaebPool = Literal["mean", "mean+std"]
Model = str | PathLike[str] | SpeechEncoder
KINDS: tuple[Kind, ...] = ("classification", "clustering", "pairs")
EACH, BEST = "each", "best"
PROTOCOL = 1  # of what is kept; counted up when scores would change
RESULTS, TABLE = "results.json", "results.md"


@dataclass(frozen=True)
class MaebEvaluation:
    """An evaluation, whose folder has `results.json` and `results.md`.

    Attributes:
        rows: one for each model, data, kind, layer and pooling.
        failures: message for each recording that could not be used, by its name.
    """

    folder: Path
    rows: tuple[MaebRow, ...]
    failures: Mapping[str, str]


@dataclass(frozen=True)
class _Part:
    """The usable recordings of one part of the data, with the states of one model."""

    states: PooledStates
    kept: np.ndarray[Any, np.dtype[np.int64]]  # rows of `states`
    labels: tuple[str, ...]
    groups: tuple[str, ...] | None

    def vectors(self, choice: StateChoice, pool: str) -> LabeledVectors:
        return LabeledVectors(self.states.vectors(choice, pool)[self.kept], self.labels, self.groups)


@dataclass(frozen=True)
class _Way:
    """A row of the table that is to be measured."""

    kind: Kind
    layer: str
    pool: MaebPool
    standardized: bool


def evaluate_maeb(
    models: Model | Sequence[Model],
    data: Mapping[str, str | PathLike[str]],
    *,
    layer: Sequence[int | str] = ("last",),
    pool: Sequence[MaebPool] = ("mean",),
    standardize: Sequence[bool] = (False,),
    kinds: Sequence[Kind] = ("classification",),
    label: str = "label",
    speaker: str = "speaker",
    output: str | PathLike[str] = "maeb",
    **options: Unpack[ComputingOptions],
) -> MaebEvaluation:
    """Measure models on labeled recordings by the protocols of MAEB, without mteb and without a network.

    The states of a recording are computed once for all layers, poolings and labels, and kept in `output`, as is each
    result: an evaluation that was stopped goes on when it is called again.

    Args:
        models: loaded models, or arguments of `load`.
        data: recordings by name, see `maeb_data`.
        layer: choices of states, see `chosen_states`; "each" is every state and the output, "best" the one of them
            with the highest score on the part dev.
        pool: "mean", which MAEB's models do, and "mean+std".
        standardize: False, as MAEB has it, and True: each dimension is scaled by mean and deviation of the clips that
            are learned from; for clustering and pairs, which learn nothing, of the part train, else of all.
        kinds: "classification", "clustering" and "pairs", see `sonant.evaluation.maeb`.
        label: field of the manifests, unless the data name one.
        speaker: field with the speaker, by which intervals are drawn if all rows have one.
        output: folder of states and results.
        **options: see `ComputingOptions`.

    Raises:
        ManifestError, UnknownName: data, fields or layers that do not exist.
        ConfigurationError: "best" for data without a part dev.
        MeasurementError: fewer than two labels.
        CheckpointError: a model that cannot be read.
        MissingExtra: scikit-learn is not installed.
    """
    given = list(models) if isinstance(models, Sequence) and not isinstance(models, str) else [models]
    sets = [maeb_data(name, path, label) for name, path in data.items()]
    _check(given, sets, layer, pool, kinds)
    folder = as_path(output, "the output")
    failures: dict[str, str] = {}
    rows: list[MaebRow] = []
    for model in given:
        encoder = encoder_of(model)
        store = StateStore(encoder, folder / "states", {**options, "progress": options.get("progress")})
        ways = _ways(encoder, layer, pool, standardize, kinds)
        read = {each.name: _parts(each, store, speaker, failures) for each in sets}
        with Progress(
            len(ways) * len(sets), title=f"MAEB, {encoder.name}", unit="rows", show=options.get("progress")
        ) as progress:
            for each in sets:
                for way in ways:
                    progress.note = f"{each.name}, layer {way.layer}"
                    rows.append(_row(folder / "scores", store, each, read[each.name], way))
                    progress.update()
    write_settings(folder / RESULTS, to_json(rows, failures))
    with atomic(folder / TABLE) as draft:
        draft.write_text(markdown(rows), encoding="utf-8")
    return MaebEvaluation(folder, tuple(rows), failures)


def _check(
    models: Sequence[Model],
    sets: Sequence[MaebData],
    layer: Sequence[int | str],
    pool: Sequence[str],
    kinds: Sequence[str],
) -> None:
    if not (models and sets and layer and pool and kinds):
        raise ConfigurationError("Name at least one model, one set of data, one layer, one pooling and one kind.")
    for one in pool:
        if one not in ("mean", "mean+std"):
            raise UnknownName("pooling", one, ["mean", "mean+std"])
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownName("kind of task", kind, KINDS)
    lacking = [each.name for each in sets if "dev" not in each.manifests]
    if BEST in map(str, layer) and lacking:
        raise ConfigurationError(
            f"layer=best was given, and {', '.join(lacking)} has no part dev to choose on. Leave it out, or divide the "
            "recordings into train, dev and test: sonant manifest --shares."
        )


def _ways(
    encoder: SpeechEncoder,
    layer: Sequence[int | str],
    pool: Sequence[MaebPool],
    standardize: Sequence[bool],
    kinds: Sequence[Kind],
) -> list[_Way]:
    names: list[str] = []
    for each in map(str, layer):
        names += _single_states(encoder) if each == EACH else [each]
    for name in names:
        if name != BEST:
            chosen_states(name, encoder.model)  # raises UnknownName before anything is computed
    return [
        _Way(kind, name, one, standardized)
        for kind in kinds
        for name in dict.fromkeys(names)
        for one in pool
        for standardized in standardize
    ]


def _single_states(encoder: SpeechEncoder) -> list[str]:
    return [*map(str, range(encoder.num_layers + 1)), "last"]


def _parts(data: MaebData, store: StateStore, speaker: str, failures: dict[str, str]) -> dict[str, _Part]:
    found = {}
    for part, manifest in data.manifests.items():
        entries, labels = labeled_entries(data, part)
        states = store.of(manifest, entries, failures)
        kept = np.array([place for place, row in enumerate(states.rows) if labels[row] is not None], np.int64)
        rows = [states.rows[place] for place in kept]
        groups = groups_of([entries[row] for row in rows], speaker)
        names = tuple(str(labels[row]) for row in rows)
        found[part] = _Part(states, kept, names, None if groups is None else tuple(groups))
    return found


def _row(folder: Path, store: StateStore, data: MaebData, parts: Mapping[str, _Part], way: _Way) -> MaebRow:
    """Return a row of the table; read its scores if they were computed before from the same vectors and labels."""
    encoder = store.encoder
    facts = [PROTOCOL, store.weights, vars(way), *(_digest(part) for part in parts.values())]
    path = folder / f"{sha256(json.dumps(facts).encode()).hexdigest()[:24]}.json"
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
    else:
        state = _best(encoder, parts, way) if way.layer == BEST else way.layer
        try:
            scores = _scores(encoder, parts, replace(way, layer=state), test="test")
        except MeasurementError as error:
            raise MeasurementError(f"{data.name}, {way.kind}: {error}") from error
        kept = {"state": state, "scores": scores.to_json()}
        folder.mkdir(parents=True, exist_ok=True)
        write_settings(path, kept)
    tested = parts.get("test") or parts[ALONE]
    return MaebRow(
        model=encoder.name,
        data=data.name,
        kind=way.kind,
        layer=way.layer,
        state=kept["state"],
        pool=way.pool,
        standardized=way.standardized,
        recordings=len(tested.labels),
        labels=len(set(tested.labels)),
        scores=MaebScores(**{**kept["scores"], "experiments": tuple(kept["scores"]["experiments"])}),
    )


def _digest(part: _Part) -> str:
    facts = json.dumps([part.labels, part.groups])
    return sha256(facts.encode() + np.ascontiguousarray(part.states.values[part.kept]).tobytes()).hexdigest()


def _best(encoder: SpeechEncoder, parts: Mapping[str, _Part], way: _Way) -> str:
    """Return the state with the highest score on dev, the first of several."""
    names = _single_states(encoder)
    on_dev = [_scores(encoder, parts, replace(way, layer=name), test="dev").value for name in names]
    return names[int(np.argmax(on_dev))]


def _scores(encoder: SpeechEncoder, parts: Mapping[str, _Part], way: _Way, *, test: str) -> MaebScores:
    choice = chosen_states(way.layer, encoder.model)
    measured = (parts.get(test) or parts[ALONE]).vectors(choice, way.pool)
    train = parts["train"].vectors(choice, way.pool) if "train" in parts else None
    if way.kind == "classification":
        if train is None:
            return cross_validated_classification(measured, standardize=way.standardized)
        return few_shot_classification(train, measured, standardize=way.standardized)
    if way.standardized:
        fitted = Standardizer.fit((train or measured).vectors)
        measured = measured._replace(vectors=fitted(measured.vectors))
    if way.kind == "clustering":
        return clustering(measured)
    pairs, same = drawn_pairs(measured.labels)
    return pair_classification(measured.vectors[pairs[:, 0]], measured.vectors[pairs[:, 1]], same)
