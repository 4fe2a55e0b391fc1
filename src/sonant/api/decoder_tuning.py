"""Tuning of a decoder: the weights of language model, words and silence that give the fewest errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

import torch

from sonant.api.encoder import SpeechEncoder
from sonant.api.kept_emissions import KeptEmissions
from sonant.api.loading import encoder_of
from sonant.api.options import ComputingOptions
from sonant.data import read_manifest
from sonant.data.files import as_path
from sonant.data.lock import output_lock
from sonant.data.progress import Progress
from sonant.data.settings import write_or_check_settings
from sonant.data.text_normalization import Normalization, normalize_text
from sonant.decoding.perplexity import TextScore
from sonant.decoding.rescoring import Rescoring, rescore
from sonant.decoding.results import Transcript
from sonant.errors import ConfigurationError, ManifestError, UnknownName
from sonant.evaluation.decoder_trials import Trial, best_trial, plot_trials, trial_values
from sonant.evaluation.error_rates import ErrorCounts, error_counts
from sonant.extraction.decoder_options import DecoderOptions, write_decoder_options
from sonant.extraction.decoders import beam_search
from sonant.extraction.journal import append_lines, read_journal
from sonant.models.identity import fingerprint


@dataclass(frozen=True, kw_only=True)
class TunedDecoder:
    """The result of tuning.

    Attributes:
        options: of the decoder, with the best values.
        path: file of these options, for `decoder`.
        best, greedy: errors with these values, and of greedy decoding.
        trials: in order.
        failures: message for each recording that could not be used, by its name.
    """

    options: DecoderOptions
    path: Path
    best: Trial
    greedy: Trial
    trials: Sequence[Trial]
    failures: Mapping[str, str]


def tune_decoder(
    model: str | PathLike[str] | SpeechEncoder,
    data: str | PathLike[str],
    output: str | PathLike[str],
    decoder: DecoderOptions,
    *,
    trials: int = 128,
    silence: bool = False,
    seed: int = 0,
    label: str = "text",
    normalize: Normalization = "none",
    **options: Unpack[ComputingOptions],
) -> TunedDecoder:
    """Search the numbers of a decoder that give the fewest word errors on recordings with transcripts.

    Emissions are computed once, and kept in the output. The values of the trials are drawn from the ranges of published
    recipes. A call that was stopped goes on when it is repeated, and one with more trials adds them.

    Args:
        model: a loaded model, or an argument of `load`, with a CTC head.
        data: a manifest of recordings that the model was not trained on, or a folder that is a corpus.
        output: folder for decoder.json, trials.jsonl, wer.png (with matplotlib) and the emissions.
        decoder: language model, lexicon, hot words and beam. The word score is searched, and the LM weight if there is
            a language model, unless they are given; with `rescoring_lm` the two weights of rescoring instead.
        trials: number of trials.
        silence: whether the silence weight is searched, too.
        seed: of the trials.
        label: field of the manifest with the transcript.
        normalize: of both texts, see `sonant.data.text_normalization.normalize_text`.
        **options: see `ComputingOptions`.

    Raises:
        ConfigurationError: nothing to search, or a language model or lexicon that does not fit the model; or the output
            holds trials of other settings.
        ManifestError: no recording can be used.
    """
    decoder = decoder.resolved()
    names = _searched(decoder, silence=silence)
    if trials < 1:
        raise ConfigurationError(f"trials={trials} was given; expected at least 1.")
    encoder, folder = encoder_of(model), as_path(output, "the output")
    loaded = encoder.loaded_decoder(decoder)
    encoder.transcript_decoder(loaded)  # what does not fit is refused before the emissions are computed
    rows = read_manifest(as_path(data, "the data"))
    entries = [entry for entry in rows if entry.fields.get(label) is not None]
    if not entries:
        raise UnknownName("field of the manifest", label, dict.fromkeys(name for each in rows for name in each.fields))
    references = [normalize_text(_text(entry.fields[label]), normalize) for entry in entries]
    settings = {
        "weights": fingerprint(encoder.model),
        "heads": encoder.heads_fingerprint,
        **{name: options.get(name) for name in ("window_seconds", "overlap_seconds", "precision")},
        "decoder": decoder.settings(),
        "searched": names,
        "seed": seed,
        "label": label,
        "normalize": normalize,
        "recordings": [entry.name for entry in entries],
        "audio": KeptEmissions.digest(entries),
        "transcripts": sha256("\n".join(references).encode()).hexdigest(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with output_lock(folder, is_folder=True):
        write_or_check_settings(folder / "settings.json", settings, has_results=(folder / "emissions.json").exists())
        emissions = KeptEmissions.computed(encoder, entries, folder, options)
        if len(emissions.failures) == len(entries):
            first = next(iter(emissions.failures.values()))
            raise ManifestError(f"None of the {len(entries)} recordings can be used. The first: {first}")
        texts_of = _texts_of(encoder, emissions, loaded)

        def measured(values: Mapping[str, Any], texts: Sequence[str | None]) -> Trial:
            return _trial(values, references, [each and normalize_text(each, normalize) for each in texts])

        greedy = measured({}, emissions.texts(encoder.transcript_decoder(DecoderOptions()), _device(encoder)))
        found = _search(
            folder / "trials.jsonl",
            trial_values(names, trials, seed=seed),
            lambda values: measured(values, texts_of(values)),
            show=options.get("progress"),
        )
        best, path = best_trial(found), folder / "decoder.json"
        numbers: dict[str, Any] = dict(best.values)
        tuned = replace(decoder, **numbers)
        facts = {"wer": best.wer, "greedy_wer": greedy.wer, "words": best.words, "trials": len(found)}
        write_decoder_options(path, tuned, tuned={"model": encoder.name, "data": str(data), **facts})
        if find_spec("matplotlib") is not None:
            plot_trials(found, greedy, folder / "wer.png")
    return TunedDecoder(options=tuned, path=path, best=best, greedy=greedy, trials=found, failures=emissions.failures)


def _searched(decoder: DecoderOptions, *, silence: bool) -> list[str]:
    """Return the names of the numbers that are searched."""
    if decoder.rescoring_lm is not None:
        searched = {"rescoring_lm_weight": True, "rescoring_word_score": True}
    else:
        searched = {"lm_weight": decoder.lm is not None, "word_score": True, "silence_weight": silence}
    names = [name for name, wanted in searched.items() if wanted and name not in decoder.given]
    if not names:
        raise ConfigurationError(f"There is nothing to search: {' and '.join(searched)} are given.")
    return names


def _device(encoder: SpeechEncoder) -> torch.device:
    return encoder.model.device


def _texts_of(
    encoder: SpeechEncoder, emissions: KeptEmissions, options: DecoderOptions
) -> Callable[[Mapping[str, Any]], list[str | None]]:
    """Return the function from values of the searched numbers to the text of each recording."""
    device = _device(encoder)
    if options.rescoring_lm is None:
        return lambda values: emissions.texts(encoder.transcript_decoder(replace(options, **values)), device)
    plain = replace(options, rescoring_lm=None, rescoring_lm_weight=None, rescoring_word_score=None)
    search = encoder.transcript_decoder(replace(plain, n_best=beam_search(options).n_best))
    return rescored_texts(emissions.transcripts(search, device), options)


def _trial(values: Mapping[str, Any], references: Sequence[str], texts: Sequence[str | None]) -> Trial:
    """Count the word errors of texts; None for an unusable recording."""
    pairs = [(reference, text) for reference, text in zip(references, texts, strict=True) if text is not None]
    total = sum(error_counts(*zip(*pairs, strict=True)), ErrorCounts())
    if not total.length:
        raise ManifestError("The transcripts have no words, so that there is no error rate.")
    return Trial(values, total.errors, total.length)


class _KnownScores:
    """A language model that scores texts whose scores are known."""

    def __init__(self, scores: Mapping[str, TextScore]) -> None:
        self._scores = scores

    def score(self, texts: Sequence[str]) -> list[TextScore]:
        return [self._scores[text] for text in texts]


def rescored_texts(
    transcripts: Sequence[Transcript | None], options: DecoderOptions
) -> Callable[[Mapping[str, Any]], list[str | None]]:
    """Return the function from weights of rescoring to the best text of each recording.

    Args:
        transcripts: with the alternatives that are ranked again; None for an unusable recording.
        options: with the language model in memory, and weights that are not given to the function.
    """
    scorer: Any = options.rescoring_lm
    usable = [each.alternatives for each in transcripts if each is not None]
    texts = list(dict.fromkeys(each.text for alternatives in usable for each in alternatives))
    known: Any = _KnownScores(dict(zip(texts, scorer.score(texts), strict=True)))

    def ranked(values: Mapping[str, Any]) -> list[str | None]:
        weights = replace(options, **values).numbers
        rescoring = Rescoring(
            lm_weight=weights.get("rescoring_lm_weight", 1.0), word_score=weights.get("rescoring_word_score", 0.0)
        )
        best = iter([found[0].text if found else "" for found in rescore(usable, known, rescoring)])
        return [None if each is None else next(best) for each in transcripts]

    return ranked


def _search(
    path: Path,
    values: Sequence[Mapping[str, Any]],
    measured: Callable[[Mapping[str, Any]], Trial],
    *,
    show: bool | None,
) -> list[Trial]:
    """Run the trials that a file does not have yet, and add each to it."""
    rows = read_journal(path) if path.exists() else []
    trials = [Trial(row["values"], row["errors"], row["words"]) for row in rows]
    progress = Progress(max(len(values), len(trials)), title="tuning", unit="trials", done=len(trials), show=show)
    for point in values[len(trials) :]:
        trials.append(measured(point))
        row: dict[str, Any] = {"wer": trials[-1].wer, "errors": trials[-1].errors, "words": trials[-1].words}
        append_lines(path, [{"values": point, **row}])
        progress.note = f"best WER {100 * best_trial(trials).wer:.2f} %"
        progress.update()
    progress.close()
    return trials


def _text(value: Any) -> str:
    """Return a transcript as text; lists of phones are joined by spaces."""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
