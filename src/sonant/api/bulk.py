"""Bulk jobs of a model: results of many recordings, written to files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack, cast

from sonant.api.option_values import BULK, completed, of_request, without_decoding
from sonant.api.options import BulkOptions, BulkTranscription, Clusters, Layers
from sonant.api.recognition import Recognition
from sonant.api.unit_request import unit_request
from sonant.errors import ConfigurationError
from sonant.extraction.bulk import run_job
from sonant.extraction.destination import (
    LABELS,
    TRANSCRIPTS,
    TURNS,
    UNITS,
    VECTORS,
    Destination,
    TranscriptFormat,
    TurnFormat,
    UnitFormat,
)
from sonant.extraction.heads import HeadPipeline
from sonant.extraction.inputs import Entry, gather, origin
from sonant.extraction.pooling import Pool
from sonant.extraction.request import EncodeRequest, Layer
from sonant.extraction.summary import Summary
from sonant.extraction.text_formats import (
    BYTES_A_SECOND,
    Render,
    labels_as_json,
    transcript_text,
    turns_as_json,
    turns_as_rttm,
)
from sonant.extraction.units import unit_writer
from sonant.extraction.vector_files import VectorFormat
from sonant.extraction.vectors import StoredType, vector_writer
from sonant.extraction.writers import ResultWriter, Writer
from sonant.models.families import Task
from sonant.models.identity import fingerprint

if TYPE_CHECKING:
    from sonant.api.voices import Voices

Source = str | PathLike[str]
Output = str | PathLike[str] | None
Prepare = Callable[[list[Entry]], list[Entry]]


class BulkWriting(Recognition):
    """A loaded model with methods that write results of many recordings.

    The source is a recording, a folder (searched recursively), a manifest, or "-" for standard input.

    The same call resumes an interrupted job, unless it writes to standard output, and updates a finished folder:
    changed and new recordings are computed, results of removed ones deleted.
    """

    def embed(
        self,
        source: Source,
        output: str | PathLike[str],
        *,
        layer: Layers | None = None,
        pool: Pool | None = None,
        task: Task | None = None,
        normalize: bool = False,
        format: VectorFormat | None = None,  # noqa: A002 - the name that the command line has too
        dtype: StoredType = "float32",
        **options: Unpack[BulkOptions],
    ) -> Summary:
        """Write the vectors of recordings.

        Args:
            source: see `BulkWriting`.
            output: a folder (see `sonant.extraction.bulk`); or, for one recording, a file with the ending of a format.
            layer, pool, task, normalize: as in `encode`.
            format: "npy", "npz", "safetensors", "parquet" or "jsonl"; None: by the ending of `output`, else npy.
            dtype: of the numbers on disk.
            **options: see `BulkOptions`.

        Raises:
            AudioError: no recordings; or, with on_error="raise" or a single file, an unusable one.
            ConfigurationError: the output holds results of other settings, or the disk is too small.
        """
        options = completed(options, BULK, self.embed)
        place = VECTORS.place(output, format, source)
        request = self.request(layer, pool, task, normalize=normalize, **of_request(options))
        weights = fingerprint(self.model)
        settings = self._settings(options, request, weights)
        writer = vector_writer(request, place.kind, dtype, settings=settings, dim=self.dim, frame_rate=self.frame_rate)
        if not place.is_folder:
            options["on_error"] = "raise"
        return self._write(source, place, lambda _: writer, options, weights)

    def write_units(
        self,
        source: Source,
        output: Output,
        *,
        kmeans: Clusters | None = None,
        layer: Layer | None = None,
        deduplicate: bool = False,
        format: UnitFormat | None = None,  # noqa: A002 - the name that the command line has too
        **options: Unpack[BulkOptions],
    ) -> Summary:
        """Write the units of recordings, as lines or arrays.

        Args:
            source: see `BulkWriting`.
            output: a text file (.txt or .jsonl) or a folder of arrays; None: standard output.
            kmeans, layer, deduplicate: as in `units`.
            format: "text", "jsonl" or "npy"; None: by the ending of `output`.
            **options: see `BulkOptions`.
        """
        options = completed(options, BULK, self.write_units)
        place = UNITS.place(output, format, source)
        wanted = unit_request(self.model, self.name, kmeans, layer, **of_request(options))
        weights = fingerprint(self.model)
        writer = unit_writer(
            place.kind,
            wanted.request,
            wanted.label,
            settings={**self._settings(options, wanted.request, weights), **wanted.settings()},
            without_repetitions=deduplicate,
            frame_rate=self.frame_rate,
        )
        return self._write(source, place, lambda _: writer, options, weights, coded=wanted.coded)

    def write_transcripts(
        self,
        source: Source,
        output: Output,
        *,
        format: TranscriptFormat | None = None,  # noqa: A002 - the name that the command line has too
        **given: Unpack[BulkTranscription],
    ) -> Summary:
        """Write the transcripts of recordings, as `transcribe` makes them.

        Args:
            source: see `BulkWriting`.
            output: one file (.txt, .tsv, .json, .jsonl; for one recording also .srt or .vtt) or a folder with one file
                per recording; None: standard output.
            format: "text", "json" (one line per recording, with words and times), or the subtitles "srt" and "vtt";
                None: by the ending of `output`, else text.
            **given: see `BulkOptions` and `DecoderOptions`; JSON has the alternatives of a beam search.

        Raises:
            ConfigurationError: the model has no CTC head, see `abilities`; or the output holds results of another
                language model or other settings.
        """
        decoder, others = without_decoding(given)
        options = completed(cast("BulkOptions", others), BULK, self.write_transcripts)
        place = TRANSCRIPTS.place(output, format, source)
        by_channel = options["channel"] == "all"

        def render(entries: Sequence[Entry]) -> Render:
            named = (len(entries) > 1 or by_channel) and not place.is_folder
            return transcript_text(place.kind, named=named)

        pipeline = self.head_pipeline("transcription", decoder=decoder)
        if place.kind in ("srt", "vtt") and not pipeline.has_times:
            raise ConfigurationError(
                f"format={place.kind} was given, and {self.name} writes texts without times of words: subtitles need a "
                "model with a CTC head. Take text or json."
            )
        settings: dict[str, Any] = {"decoder": decoder.settings()} if decoder.given else {}
        return self._write_answers(source, place, "transcripts", pipeline, render, options, **settings)

    def write_turns(
        self,
        source: Source,
        output: Output,
        *,
        num_speakers: int | None = None,
        threshold: float | None = None,
        voices: Voices | None = None,
        format: TurnFormat | None = None,  # noqa: A002 - the name that the command line has too
        **options: Unpack[BulkOptions],
    ) -> Summary:
        """Write the speaker turns of recordings, as of `diarize`.

        Args:
            source: see `BulkWriting`.
            output: one file (.rttm, .json, .jsonl) or a folder with one file per recording; None: standard output.
            num_speakers, threshold, voices: as in `diarize`.
            format: "rttm" or "json" (one line per recording); None: by the ending of `output`, else rttm.
            **options: see `BulkOptions`.
        """
        options = completed(options, BULK, self.write_turns)
        place = TURNS.place(output, format, source)
        known = None if voices is None else voices.known_to(self.voice_fingerprint)
        pipeline = self.head_pipeline("diarization", num_speakers=num_speakers, threshold=threshold, known=known)
        settings: dict[str, Any] = {"num_speakers": num_speakers, "threshold": threshold}
        if known is not None:
            settings["voices"] = known.digest()

        def render(entries: Sequence[Entry]) -> Render:
            return turns_as_json if place.kind == "json" else turns_as_rttm(entries)

        return self._write_answers(source, place, "turns", pipeline, render, options, **settings)

    def write_labels(self, source: Source, output: Output, **options: Unpack[BulkOptions]) -> Summary:
        """Write the labels of recordings with their scores, as of `classify`: one JSON line per recording.

        Args:
            source: see `BulkWriting`.
            output: one file (.json, .jsonl) or a folder with one file per recording; None: standard output.
            **options: see `BulkOptions`.

        Raises:
            ConfigurationError: the model has no head for whole recordings; see `abilities`.
        """
        options = completed(options, BULK, self.write_labels)
        place = LABELS.place(output, None, source)
        pipeline = self.head_pipeline("classification")
        return self._write_answers(source, place, "labels", pipeline, lambda _: labels_as_json, options)

    def _write_answers(
        self,
        source: Source,
        place: Destination[Any],
        what: str,
        pipeline: HeadPipeline[Any],
        render: Callable[[Sequence[Entry]], Render],
        options: BulkOptions,
        *,
        prepare: Prepare | None = None,
        **settings: Any,
    ) -> Summary:
        """Write the answers of a head; `prepare` is as in `_write`."""
        request = EncodeRequest(layers=pipeline.layers, **of_request(options))
        weights = fingerprint(self.model)
        settings |= self._settings(options, request, weights) | {"results": what, "heads": self.heads_fingerprint}

        def writer(entries: Sequence[Entry]) -> Writer:
            return ResultWriter(
                what=what,
                format=place.kind,
                request=request,
                make_sink=pipeline.make_sink,
                render=render(entries),
                settings={**settings, "format": place.kind, "several": not place.is_folder and len(entries) > 1},
                bytes_a_second=BYTES_A_SECOND[place.kind],
            )

        return self._write(source, place, writer, options, weights, min_samples=pipeline.min_samples, prepare=prepare)

    def _settings(self, options: BulkOptions, request: EncodeRequest, weights: str) -> dict[str, Any]:
        """Return the settings that determine results of any kind."""
        return {
            "model": self.name,
            "revision": self._revision or weights,
            "weights": weights,
            "window_seconds": request.window_seconds,
            "overlap_seconds": request.overlap if request.window_seconds else None,
            "channel": None if options["channel"] == "mix" else options["channel"],
            "precision": options["precision"] or self.precision,
        }

    def _write(
        self,
        source: Source,
        place: Destination[Any],
        make_writer: Callable[[Sequence[Entry]], Writer],
        options: BulkOptions,
        weights: str,
        *,
        coded: bool = False,
        min_samples: int | None = None,
        prepare: Prepare | None = None,
    ) -> Summary:
        """Run a job.

        Args:
            weights: fingerprint of the model.
            coded: whether only the model's codes are needed.
            min_samples: least length of a recording; None: that of one frame.
            prepare: changes the entries of the source.
        """
        stdin = options["stdin"] or sys.stdin.buffer
        entries = gather(
            source,
            sampling_rate=self.sampling_rate,
            min_samples=min_samples or self.model.receptive_field,
            channel=options["channel"],
            stdin=stdin,
            leave_out=place.path,
        )
        entries = entries if prepare is None else prepare(entries)
        return run_job(
            self._engine(options, coded=coded, weights=weights),
            entries,
            place,
            make_writer(entries),
            source=origin(source),
            on_error=options["on_error"],
            show_progress=options["progress"],
            on_start=options["on_start"],
            on_failure=options["on_failure"],
        )
