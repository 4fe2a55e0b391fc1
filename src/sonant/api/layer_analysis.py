"""Analysis of the layers of models on recordings: what each knows, as JSON, tables and a page."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from hashlib import sha256
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias, Unpack

from sonant.analysis import Analysis, AnalyzedClip, DataSummary, layer_table
from sonant.analysis.card import write_card as write_measurements
from sonant.analysis.corpus import AnalyzedCorpus, chosen_fields, fields_as_text, known_parts
from sonant.analysis.label_curves import Pooling
from sonant.analysis.measuring import Measures, measure_model
from sonant.analysis.plan import NUM_FRAMES, plan_samples
from sonant.analysis.report import point_sounds, report_page
from sonant.analysis.samples import LayerSamples, compute_samples
from sonant.analysis.task_weights import learned_weights
from sonant.analysis.timed_labels import TimedLabel, labels_of
from sonant.api.encoder import SpeechEncoder
from sonant.api.loading import encoder_of
from sonant.api.option_values import COMPUTING, of_request
from sonant.api.options import ComputingOptions
from sonant.api.recordings import Recordings
from sonant.data import ManifestEntry, read_manifest
from sonant.data.files import as_path, atomic
from sonant.errors import AudioError, ConfigurationError, MissingExtra, UnknownName
from sonant.extraction.engine import Engine, OnError
from sonant.extraction.names import readable_name
from sonant.extraction.progress import AudioProgress
from sonant.extraction.request import EncodeRequest
from sonant.layers.frame_grid import FrameGrid
from sonant.models.families import Task
from sonant.models.identity import fingerprint

Model: TypeAlias = str | PathLike[str] | SpeechEncoder
Place: TypeAlias = str | PathLike[str]

RESULTS, TABLES, PAGE, STATES = "analysis.json", "results.md", "index.html", "states"
PARTS = ("train", "dev", "test")


def analyze(
    models: Model | Sequence[Model],
    data: Place,
    *,
    dev: Place | None = None,
    test: Place | None = None,
    output: Place | None = None,
    fields: Sequence[str] | None = None,
    speaker: str = "speaker",
    word: str | None = None,
    alignments: Place | None = None,
    pool: Pooling = "mean",
    tasks: Mapping[Task, str] | None = None,
    heads: Sequence[Place] = (),
    num_frames: int = NUM_FRAMES,
    write_card: bool = False,
    on_error: OnError = "skip",
    command: str = "",
    **options: Unpack[ComputingOptions],
) -> Analysis:
    """Measure what the layers of one model, or of two on the same recordings, know.

    Args:
        models: a loaded model or an argument of `load`, or two of them.
        data: a manifest, or a folder that is a corpus (see `sonant.data.read_manifest`).
        dev, test: manifests of recordings to choose by and to test on; `data` is then to learn from. None: a field
            `split` of the manifest says it, or the recordings are divided, by speaker where that is possible.
        output: a folder for analysis.json, results.md, index.html, and the states computed, by which the same call goes
            on after a stop; None: nothing is written.
        fields: of the manifest to probe; None: all with values that recur.
        speaker: field with the speaker.
        word: field with the word, of recordings of single words.
        alignments: times of phones and words, see `sonant.analysis.timed_labels.labels_of`.
        pool: of the frames of a recording, for its probes.
        tasks: properties that stand for tasks in the presets, such as {"emotion": "label"}.
        heads: folders of models with trained heads, or results.json of SUPERB, whose weights of the states are shown.
        num_frames: of all recordings, drawn at random for the measures of frames.
        write_card: write the presets, and the measurements for model cards, into the folder that each model was loaded
            from.
        on_error: "skip" lists unusable recordings in the result, "raise" raises the error.
        command: that is noted in the result.
        **options: see `ComputingOptions`.

    Raises:
        ManifestError: a file cannot be read.
        AudioError: no recording can be used.
        ConfigurationError: three models or more, or a card of a model that is in no folder.
        UnknownName: no such field or task.
    """
    started = time.monotonic()
    given = list(models) if isinstance(models, Sequence) and not isinstance(models, str) else [models]
    if not 1 <= len(given) <= 2:
        raise ConfigurationError(f"{len(given)} models were given; one is analyzed, or two side by side.")
    encoders = [encoder_of(model) for model in given]
    folders = [encoder.folder for encoder in encoders]
    if write_card and None in folders:
        name = encoders[folders.index(None)].name
        raise ConfigurationError(
            f"The presets of {name!r} cannot be written: it was not loaded from a folder. Save it with "
            "save_pretrained, and analyze that folder."
        )
    corpus, wanted, left_out = _corpus(data, dev, test, fields, speaker, word, alignments, tasks or {})
    weights = [learned_weights([as_path(each, "heads") for each in heads], each.num_layers) for each in encoders]
    settings: dict[str, Any] = {**COMPUTING, "progress": None, **options}
    with ExitStack() as stack:
        place = None if output is None else as_path(output, "the output")
        states = Path(stack.enter_context(TemporaryDirectory())) if place is None else place / STATES
        samples = [
            _samples(encoder, corpus, states, settings, num_frames=num_frames, on_error=on_error)
            for encoder in encoders
        ]
        used = sorted(set().union(*(each.recordings for each in samples)))
        if not used:
            failure = next(iter(samples[0].failures.values()), "they are too short")
            raise AudioError(f"None of the {len(corpus.entries)} recordings can be used. The first: {failure}")
        places = {number: place for place, number in enumerate(used)}
        names = _names(encoders)
        measured = [
            measure_model(
                name,
                encoder.revision,
                corpus,
                of_model,
                fields=wanted,
                places=places,
                pool=pool,
                tasks=tasks,
                weights=learned,
                progress=settings["progress"],
            )
            for name, encoder, of_model, learned in zip(names, encoders, samples, weights, strict=True)
        ]
    analysis = Analysis(
        models=tuple(each.model for each in measured),
        data=_summary(corpus, used, samples, wanted, [*left_out, *_missing(measured)], str(data)),
        command=command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - started, 1),
    )
    if place is not None:
        _write(place, analysis, [corpus.entries[number] for number in used])
    if write_card:
        for number, (encoder, each) in enumerate(zip(encoders, analysis.models, strict=True)):
            if encoder.folder is not None:
                encoder.write_presets(each.presets)
                write_measurements(encoder.folder, analysis, number)
    return analysis


def _corpus(
    data: Place,
    dev: Place | None,
    test: Place | None,
    fields: Sequence[str] | None,
    speaker: str,
    word: str | None,
    alignments: Place | None,
    tasks: Mapping[Task, str],
) -> tuple[AnalyzedCorpus, list[str], list[str]]:
    """Read the manifests; return the corpus, the fields to probe, and what cannot be probed."""
    entries: list[ManifestEntry] = []
    given: list[str | None] = []
    for part, place in zip(PARTS, (data, dev, test), strict=True):
        if place is not None:
            found = read_manifest(as_path(place, f"the {part} data"))
            entries += found
            given += [part] * len(found)
    if dev is None and test is None:
        given = known_parts(entries)
    wanted, left_out = chosen_fields(entries, fields)
    tiers = labels_of(entries, None if alignments is None else as_path(alignments, "the alignments"))
    if word is not None:
        if not any(entry.text_in(word) for entry in entries):
            raise UnknownName("field of the manifest", word, list(entries[0].fields))
        for entry, of_entry in zip(entries, tiers, strict=True):
            with suppress(AudioError, MissingExtra):  # which is said when the recording is to be read
                if text := entry.text_in(word):
                    of_entry["word"] = [TimedLabel(text, 0.0, entry.seconds())]
    known = [*wanted, "phone", "word"]
    for task, name in tasks.items():
        if name not in known:
            raise UnknownName(f"property for the task {task!r}", name, known)
    speakers = [entry.text_in(speaker) for entry in entries]
    corpus = AnalyzedCorpus(Path(data).name, entries, speakers, given, tiers, has_whole_words=word is not None)
    return corpus, wanted, left_out


def _samples(
    encoder: SpeechEncoder,
    corpus: AnalyzedCorpus,
    states: Path,
    options: Mapping[str, Any],
    *,
    num_frames: int,
    on_error: OnError,
) -> LayerSamples:
    """Compute the samples of one model, or take those that an earlier call has computed."""
    engine = Engine(encoder.optimized(options["precision"], options["device"]))
    recordings = Recordings(
        list(corpus.entries),
        engine.sampling_rate,
        source_rate=None,
        channel=None,
        min_samples=engine.receptive_field,
        twice_at_once=True,
    )
    seconds, failures = engine.lengths(recordings.sources, on_error=on_error)
    plan = plan_samples(
        seconds,
        corpus.tiers,
        corpus.speakers,
        FrameGrid(engine.stride, engine.receptive_field),
        engine.sampling_rate,
        num_frames=num_frames,
    )
    request = EncodeRequest(layers=tuple(range(encoder.num_layers + 1)), stacked=True, **of_request(options))
    facts = [
        [entry.identity, length, entry.path.stat().st_size if entry.path.is_file() else None, sorted(tiers.items())]
        for entry, length, tiers in zip(corpus.entries, seconds, corpus.tiers, strict=True)
    ]
    settings = {
        "weights": fingerprint(encoder.model),
        "precision": options["precision"] or encoder.precision,
        "window_seconds": request.window_seconds,
        "overlap_seconds": request.overlap if request.window_seconds else None,
        "num_frames": num_frames,
        "recordings": sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest(),
        "speakers": sha256(repr(corpus.speakers).encode()).hexdigest(),
    }
    key = sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    with AudioProgress(sum(length or 0.0 for length in seconds), show=options["progress"]) as progress:
        samples = compute_samples(
            engine, recordings.sources, seconds, plan, states / key, settings, request, on_error=on_error,
            progress=progress,
        )  # fmt: skip
    samples.failures.update({failure.item: str(failure.error) for failure in failures})
    return samples


def _names(encoders: Sequence[SpeechEncoder]) -> list[str]:
    names = [encoder.name for encoder in encoders]
    return [f"{name} (2)" if names.index(name) < place else name for place, name in enumerate(names)]


def _missing(measured: Sequence[Measures]) -> list[str]:
    """Return what was not measured, once each; with the model's name if others could."""
    missing: list[str] = []
    for each in measured:
        for sentence in each.not_measured:
            everywhere = all(sentence in other.not_measured for other in measured)
            missing.append(sentence if everywhere else f"{each.model.name}: {sentence}")
    return list(dict.fromkeys(missing))


def _summary(
    corpus: AnalyzedCorpus,
    used: Sequence[int],
    samples: Sequence[LayerSamples],
    fields: Sequence[str],
    not_measured: Sequence[str],
    source: str,
) -> DataSummary:
    folder = Path(source) if Path(source).is_dir() else Path(source).parent
    clips = []
    for number in used:
        entry = corpus.entries[number]
        name = entry.path.relative_to(folder) if entry.path.is_relative_to(folder) else entry.path
        clips.append(
            AnalyzedClip(
                name=readable_name(name.as_posix()), seconds=round(entry.seconds(), 3), fields=fields_as_text(entry)
            )
        )
    parts = [corpus.given[number] for number in used]
    named = None not in parts
    failures = {corpus.entries[number].name: message for each in samples for number, message in each.failures.items()}
    return DataSummary(
        source=source,
        recordings=len(used),
        seconds=round(sum(clip.seconds for clip in clips), 1),
        labels={name: len({corpus.labels(name)[number] for number in used} - {None}) for name in fields},
        splits={part: parts.count(part) for part in dict.fromkeys(parts) if part is not None} if named else {},
        split_by="As the manifests name them, where that fits a label; otherwise as each curve says."
        if named
        else "Made for each label, as its curve says.",
        clips=tuple(clips),
        failures=failures,
        not_measured=tuple(not_measured),
    )


def _write(folder: Path, analysis: Analysis, entries: Sequence[ManifestEntry]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _write_text(folder / RESULTS, json.dumps(analysis.to_json(), ensure_ascii=False) + "\n")
    _write_text(folder / TABLES, tables(analysis))
    _write_text(folder / PAGE, report_page(analysis, point_sounds(analysis, entries)))


def tables(analysis: Analysis) -> str:
    """Return the summary of each model, and a table for each measure, as Markdown."""
    parts = [f"# {' and '.join(model.name for model in analysis.models)} on {analysis.data.source}"]
    made = f" `{analysis.command}`" if analysis.command else ""
    parts += [f"{analysis.data.recordings:,} recordings, {analysis.data.seconds / 60:.1f} minutes.{made}"]
    for model in analysis.models:
        parts += [f"## {model.name}", "\n".join(f"- {sentence}" for sentence in model.summary)]
    parts += ["## By layer", "Values times 100, [95 % interval]; the best layer is bold."]
    how = {curve.title: curve.how for model in analysis.models for curve in model.curves}
    for measure in analysis.measures():
        parts += [f"### {measure.title}", how[measure.title], layer_table([measure]).rstrip()]
    if analysis.data.not_measured:
        parts += ["## Not measured", "\n".join(f"- {sentence}" for sentence in analysis.data.not_measured)]
    return "\n\n".join(parts) + "\n"


def _write_text(path: Path, text: str) -> None:
    with atomic(path) as draft:
        draft.write_text(text, encoding="utf-8")
