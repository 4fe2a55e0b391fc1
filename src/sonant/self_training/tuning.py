"""Tuning of a model's decoder on the development set: first of the search, then of rescoring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sonant.api.decoder_tuning import TunedDecoder, tune_decoder
from sonant.data import ManifestEntry
from sonant.data.text_normalization import normalize_text
from sonant.extraction.decoder_options import DECODER, DecoderOptions
from sonant.self_training.run_files import RunFiles, StageResult, without_rescoring

RESCORING = "rescoring"  # folder, in that of the search


def tuned(files: RunFiles, model: str, folder: Path) -> StageResult:
    """Tune the decoder of a model, and the weights of rescoring, on the development set."""
    run, options, encoder = files.run, files.decoder, files.loaded(model)

    def search(place: Path, decoder: DecoderOptions) -> TunedDecoder:
        return tune_decoder(
            encoder,
            run.dev,
            place,
            decoder,
            trials=run.trials,
            seed=run.seed,
            label=run.label,
            normalize=files.normalization,
            progress=None,
        )

    plain = replace(without_rescoring(options), lm_weight=None, word_score=None, n_best=None)
    done = search(folder, plain)
    facts: dict[str, Any] = {"greedy_wer": done.greedy.wer, "wer": done.best.wer, "values": dict(done.best.values)}
    shown = f"dev: WER {100 * done.greedy.wer:.1f} % greedy, {100 * done.best.wer:.1f} % by the beam"
    if options.rescoring_lm is not None:
        again = search(folder / RESCORING, replace(done.options, rescoring_lm=options.rescoring_lm))
        facts |= {"rescored_wer": again.best.wer, "values": {**done.best.values, **again.best.values}}
        shown += f", {100 * again.best.wer:.1f} % rescored"
    return StageResult(f"{run.trials} trials on {Path(run.dev).name}", shown, facts)


def reference_of(files: RunFiles, entry: ManifestEntry) -> str:
    """Return the transcript of a row, normalized; "" if it has none."""
    text = entry.fields.get(files.run.label)
    return normalize_text("" if text is None else str(text), files.normalization)


def decoders(files: RunFiles, folder: Path) -> dict[str, DecoderOptions]:
    """Return the ways to decode a CTC model, worst first: as tuned in a folder, or with the settings of the run."""
    options = files.decoder
    found = {"beam": without_rescoring(options)} | ({"rescored": options} if options.rescoring_lm is not None else {})
    for how, place in (("beam", folder), ("rescored", folder / RESCORING)):
        if how in found and (place / DECODER).is_file():
            found[how] = DecoderOptions(decoder=place / DECODER, n_best=options.n_best)
    return found
