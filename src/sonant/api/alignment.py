"""Forced alignment: times of the lines, words and characters of a known text."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any, Unpack, overload

from sonant.api.audio_inputs import Answers, AudioInput, AudioInputs, ManyAnswers, OneAnswer
from sonant.api.bulk import Output, Source
from sonant.api.option_values import BULK, completed
from sonant.api.options import (
    AnyAlignment,
    BulkOptions,
    InferenceOptions,
    PlainAlignment,
    SkippingAlignment,
)
from sonant.api.separation import SourceSeparation
from sonant.checkpoints import Head
from sonant.checkpoints.tokenizer_files import LEXICON, SUBWORDS
from sonant.data.text_normalization import Normalization
from sonant.decoding.alignment.aligned_text import Alignment
from sonant.errors import ConfigurationError
from sonant.extraction.alignment_formats import Level, alignment_text
from sonant.extraction.alignments import alignment
from sonant.extraction.continued_units import Continued
from sonant.extraction.destination import ALIGNMENTS, AlignmentFormat
from sonant.extraction.heads import HeadPipeline, able, some
from sonant.extraction.inputs import Entry
from sonant.extraction.summary import Summary
from sonant.extraction.text_formats import Render
from sonant.extraction.text_spelling import TextSpeller
from sonant.extraction.vocabularies import vocabulary_of

File = str | PathLike[str]
Texts = list[str] | tuple[str, ...]


class TextAlignment(SourceSeparation):
    """A loaded model with methods that align known texts with recordings."""

    _text_units: tuple[Head, dict[str, Path | None], Continued] | None = None  # for a head and files

    @overload
    def align(self, audio: AudioInput, text: str, **options: Unpack[PlainAlignment]) -> Alignment: ...
    @overload
    def align(self, audio: AudioInputs, text: Texts, **options: Unpack[PlainAlignment]) -> list[Alignment]: ...
    @overload
    def align(
        self, audio: AudioInputs, text: Texts, **options: Unpack[SkippingAlignment]
    ) -> list[Alignment | None]: ...
    @overload
    def align(self, audio: AudioInput, text: str, **options: Unpack[AnyAlignment]) -> OneAnswer[Alignment]: ...
    @overload
    def align(self, audio: AudioInputs, text: Texts, **options: Unpack[AnyAlignment]) -> ManyAnswers[Alignment]: ...
    def align(
        self,
        audio: AudioInput | AudioInputs,
        text: str | Texts,
        *,
        star: bool = False,
        normalize: Normalization | None = None,
        subwords: File | None = None,
        lexicon: File | None = None,
        **options: Unpack[InferenceOptions],
    ) -> Answers[Alignment]:
        """Find when each line, word and character of a text is said in a recording, or in each of a list of them.

        Args:
            audio: as in `SpeechEncoder.encode`.
            text: what is said, with capitals, punctuation and line breaks as you like; a list for a list of recordings.
            star, normalize, subwords, lexicon: see `AlignmentOptions`.
            **options: see `InferenceOptions`.

        Returns:
            `Alignment`; with channel="all" a list with one per channel.

        Raises:
            UnalignableText: the text has no words, cannot be spelled, or is too long for the recording.
            ConfigurationError: the model has no CTC head; see `abilities`.
            CheckpointError: the vocabulary of the head is unknown.
        """
        pipeline = self.alignment_pipeline(star=star, normalize=normalize, subwords=subwords, lexicon=lexicon)
        return self._by_head(self.align, pipeline, audio, options, text=text)

    def write_alignments(
        self,
        source: Source,
        output: Output,
        *,
        text: str | None = None,
        star: bool = False,
        normalize: Normalization | None = None,
        subwords: File | None = None,
        lexicon: File | None = None,
        level: Level | None = None,
        format: AlignmentFormat | None = None,  # noqa: A002 - the name that the command line has too
        **options: Unpack[BulkOptions],
    ) -> Summary:
        """Write the alignments of recordings with their texts, as `align` makes them.

        Args:
            source: see `BulkWriting`; a manifest with a column `text`, unless `text` is given.
            output: one file (.TextGrid, .ctm, .json, .jsonl, .srt, .vtt) or a folder with one file per recording; None:
                standard output.
            text: what is said in the recording.
            star, normalize, subwords, lexicon: see `AlignmentOptions`.
            level: "segments" (the lines of the text), "words" or "characters"; None: see
                `sonant.extraction.alignment_formats.formatted`.
            format: "textgrid", "ctm", "json" (one line per recording), "srt" or "vtt"; None: by the ending of `output`,
                else a TextGrid in a folder, and CTM on standard output.
            **options: see `BulkOptions`.
        """
        options = completed(options, BULK, self.write_alignments)
        place = ALIGNMENTS.place(output, format, source)
        pipeline = self.alignment_pipeline(star=star, normalize=normalize, subwords=subwords, lexicon=lexicon)
        settings: dict[str, Any] = {"star": star, "normalize": normalize, "level": level}
        files = {"subwords": subwords, "lexicon": lexicon}
        settings |= {
            name: sha256(Path(path).expanduser().read_bytes()).hexdigest() for name, path in files.items() if path
        }

        def render(_: Sequence[Entry]) -> Render:
            return alignment_text(place.kind, level)

        def prepare(entries: list[Entry]) -> list[Entry]:
            if text is not None and len(entries) > 1 and options["channel"] != "all":
                raise ConfigurationError(
                    f"One text was given for {len(entries)} recordings; list them in a manifest with a column 'text'."
                )
            return [entry.with_text(text) for entry in entries]

        return self._write_answers(source, place, "alignments", pipeline, render, options, prepare=prepare, **settings)

    def alignment_pipeline(
        self,
        *,
        text: str | None = None,
        star: bool = False,
        normalize: Normalization | None = None,
        subwords: File | None = None,
        lexicon: File | None = None,
    ) -> HeadPipeline[Alignment]:
        """Return the pipeline of alignment, for callers that do their own batching.

        Args:
            text: what is said in every recording; None: each source has its own text.
            star, normalize, subwords, lexicon: see `AlignmentOptions`.
        """
        if "ctc" not in self._heads.stored:
            raise ConfigurationError(
                f"{self.name} has no CTC head, which alignment needs. Models with such a head: "
                f"{some(able('transcription'))}."
            )
        tokens = vocabulary_of(self._heads.stored["ctc"], self.name).tokens
        speller = TextSpeller(self._units_of_text(lexicon, subwords), tokens, normalize)
        return alignment(self.model, self._heads, speller, name=self.name, text=text, stars_between=star)

    def _units_of_text(self, lexicon: File | None, subwords: File | None) -> Continued:
        """Return the units of the head, which are read once."""
        head = self._heads.stored["ctc"]
        files: dict[str, Path | None] = {}
        for kind, given, name in (("lexicon", lexicon, LEXICON), ("subwords", subwords, SUBWORDS)):
            beside = self._place / name
            files[kind] = Path(given) if given is not None else beside if beside.is_file() else None
        known = self._text_units
        if known is None or known[0] is not head or known[1] != files:
            units = Continued(head, self.name, **files, setting="subwords")
            known = self._text_units = head, files, units
        return known[2]
