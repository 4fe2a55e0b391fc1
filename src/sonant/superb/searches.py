"""Query by example: nothing is trained; the state whose frames are compared is chosen on the development set."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.checkpoints import make_backbone
from sonant.checkpoints.fresh import fresh_or_loaded
from sonant.data import ManifestEntry, WaveformStore, read_manifest
from sonant.data.progress import with_progress
from sonant.data.settings import write_settings
from sonant.data.trials import match_trials, read_trials
from sonant.data.waveforms import corpus_hash
from sonant.decoding.spoken_terms import LEAST_FRAMES, matches
from sonant.errors import ManifestError, SonantWarning, some_of, warn
from sonant.evaluation.resampling import interval_of
from sonant.evaluation.term_detection import max_term_weighted_value, normalized_scores
from sonant.layers.packed import Packed
from sonant.models import Backbone
from sonant.models.identity import fingerprint
from sonant.running_moments import RunningMoments
from sonant.superb.data import TaskData
from sonant.superb.measures import FoldResult, Measured
from sonant.superb.settings import SuperbRun
from sonant.superb.tasks import DOCUMENTS
from sonant.superb.trials import STATES, TRAININGS, HeadQuestion, slug
from sonant.training.runs import WAVEFORMS
from sonant.training.tasks.feature_cache import CachedStates, FeatureCache, StateKind

SEARCHES, RESAMPLES, BATCH_SECONDS = "searches", 200, 64
QUERIES = ("dev", "test")
Scores = NDArray[np.float64]  # (queries, documents)
Targets = NDArray[np.bool_]  # the same


@dataclass(frozen=True, eq=False)
class _StateSet:
    """States of the recordings of a manifest that can be read.

    Attributes:
        rows: of each recording in its manifest.
        numbers: of each among the decoded recordings.
    """

    rows: list[int]
    numbers: list[int]
    states: CachedStates

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the states (frames, states, dim) of each recording, float32."""
        return (torch.from_numpy(self.states[number].astype(np.float32)) for number in self.numbers)


def search_result(run: SuperbRun, question: HeadQuestion, source: str) -> FoldResult:
    """Search the documents of a corpus for the queries of its two sets, unless that was done before.

    As in SUPERB, the frames of each state are standardized by mean and deviation over all recordings, queries included,
    and distances are relative, see `sonant.decoding.spoken_terms`. A query of fewer than `LEAST_FRAMES` frames
    finds nothing: its scores are 0, the mean of all others.

    Raises:
        ManifestError: recordings cannot be read, and are not to be skipped; or names of trials are of none.
        MeasurementError: no query is in a document, or all are in all.
    """
    data = question.data
    backbone = make_backbone(fresh_or_loaded(source, seed=run.seed)).eval()
    path = run.folder / SEARCHES / f"{data.name}-{slug(question.model)}.json"
    digests = {part: data.digest(part) for part in data.manifests}
    made_of = {"model": fingerprint(backbone), **digests}
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if found.get("made_of") != made_of:
        entries = {part: read_manifest(manifest) for part, manifest in data.manifests.items()}
        sets = _sets(run, backbone, made_of["model"], entries)
        dev, test = (_targets(data, part, entries, sets) for part in QUERIES)
        by_state = _scores(sets, run.device)
        on_dev = [_value(of_dev, dev) for of_dev, _ in by_state]
        state = int(np.argmax(on_dev))
        measured = _with_interval(by_state[state][1], test, seed=run.seed)
        found = {"made_of": made_of, "dev": on_dev, "state": state, "test": measured, "recordings": len(sets["test"])}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_settings(path, found)
    state = found["state"]
    measures = {"mtwv": Measured(**found["test"])}
    return FoldResult(data.fold, None, state, found["dev"][state], measures, found["recordings"], None)


def _sets(
    run: SuperbRun, backbone: Backbone, model: str, entries: dict[str, list[ManifestEntry]]
) -> dict[str, _StateSet]:
    """Compute the states of documents and queries that the cache of the evaluation lacks."""
    stores, used = {}, {}
    for part, recordings in entries.items():
        folder = run.folder / TRAININGS / WAVEFORMS / corpus_hash(recordings, backbone.sampling_rate)
        stores[part] = store = WaveformStore.build(recordings, folder, sampling_rate=backbone.sampling_rate)
        has_frames = [backbone.num_frames(int(length)) > 0 for length in store.lengths]
        used[part] = np.flatnonzero(has_frames).tolist()
        if faults := [*store.skipped, *(name for name, fits in zip(store.paths, has_frames, strict=True) if not fits)]:
            said = f"{len(faults)} recordings of {part} cannot be read, or are too short: {some_of(faults, 5)}"
            if run.on_error == "raise" or not used[part]:
                raise ManifestError(f"{said}. Correct them, or leave them out (--on-error skip).")
            warn(f"{said}. They are left out.", SonantWarning)
    backbone.to(run.device)
    read = (*range(backbone.num_layers), "last")

    @torch.no_grad()
    def encode(clips: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        encoded = backbone(Packed.pack(map(torch.from_numpy, clips)).to(torch.device(run.device)), layers=read)
        states = [encoded.last if each == "last" else encoded.hidden_states[each] for each in read]
        return [each.float().cpu().numpy() for each in Packed(torch.stack(states, dim=1), encoded.lengths)]

    cache = FeatureCache(run.folder / STATES, StateKind(model, read, backbone.dim, "float32", run.cache_dtype))
    places = cache.fill(
        [(stores[part], used[part]) for part in entries],
        encode,
        num_frames=backbone.num_frames,
        batch_samples=BATCH_SECONDS * backbone.sampling_rate,
    )
    return {
        part: _StateSet([int(stores[part].rows[number]) for number in used[part]], used[part], cache.open(of_part))
        for part, of_part in zip(entries, places, strict=True)
    }


def _targets(data: TaskData, part: str, entries: dict[str, list[ManifestEntry]], sets: dict[str, _StateSet]) -> Targets:
    """Read which queries of a part are in which documents."""
    trials = read_trials(data.trials[part])
    queries = len(entries[part])
    found = np.zeros((queries, len(entries[DOCUMENTS])), dtype=bool)
    rows = match_trials(trials, [*entries[part], *entries[DOCUMENTS]])
    for trial, (query, document) in zip(trials, rows, strict=True):
        if not query < queries <= document:
            raise ManifestError(
                f"{data.trials[part]}: expected a query of {part} before a document, got {trial.enrolled} and "
                f"{trial.test}."
            )
        found[query, document - queries] = trial.is_target
    return found[np.ix_(sets[part].rows, sets[DOCUMENTS].rows)]


def _scores(sets: dict[str, _StateSet], device: str) -> list[list[Scores]]:
    """Search all documents, and return the scores of each state, of the queries of each part."""
    documents = sets[DOCUMENTS]
    zeros = torch.zeros(()).double()
    moments = RunningMoments(zeros, zeros)  # (states, dim)
    for states in chain.from_iterable(sets.values()):
        values = states.double()
        mean = values.mean(0)
        moments.add(len(values), mean, (values - mean).square().sum(0))
    deviation = (moments.squares / moments.count).sqrt().clamp(min=1e-9)

    def standardized(states: Tensor) -> Tensor:
        return ((states.double() - moments.mean) / deviation).float()

    queries = [states for part in QUERIES for states in sets[part]]
    long = [number for number, states in enumerate(queries) if len(states) >= LEAST_FRAMES]
    distances = np.zeros((len(moments.mean), len(queries), len(documents)))
    if long:
        packed = Packed.pack(standardized(queries[number]) for number in long).to(torch.device(device))
        searched = iter(documents)
        for column in with_progress(range(len(documents)), "search", unit="documents"):
            document = Packed.pack([standardized(next(searched))]).to(torch.device(device))
            for state, of_state in enumerate(distances):
                one, other = (each.with_values(each.values[:, state]) for each in (packed, document))
                for match in matches(one, other, relative=True):
                    of_state[long[match.query], column] = match.distance
    scores = [np.array([normalized_scores(of_query) for of_query in of_state]) for of_state in distances]
    first = len(sets[QUERIES[0]])
    return [[of_state[:first], of_state[first:]] for of_state in scores]


def _value(scores: Scores, targets: Targets) -> float:
    terms = np.repeat(np.arange(len(scores)), scores.shape[1]).astype(str)
    return max_term_weighted_value(scores.ravel(), targets.ravel(), terms.tolist())


def _with_interval(scores: Scores, targets: Targets, *, seed: int) -> dict[str, float]:
    """Return the value, and its interval by resampling the queries that are in a document."""
    rng, present = np.random.default_rng(seed), np.flatnonzero(targets.any(1))
    drawn = (rng.choice(present, len(present)) for _ in range(RESAMPLES))
    low, high = interval_of(np.array([_value(scores[rows], targets[rows]) for rows in drawn]))
    return {"value": _value(scores, targets), "low": low, "high": high}
