"""Self-training; needs model=MODEL, data=MANIFEST and unlabeled=MANIFEST.

In the manner of Xu et al. 2020 (arXiv 2010.11430): a model that is trained on the transcripts writes those of the other
recordings, by a beam search with a 4-gram and a Transformer language model, and both final models learn from all. The
small run is for minutes to hours of transcripts, and a CPU; the large ones are the published ones on Libri-light.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sonant.configuration import changed
from sonant.extraction.decoder_options import DecoderOptions
from sonant.recipes import AMOUNTS, language_model_recipe, self_training_recipe, task_recipe
from sonant.recipes.overrides import override
from sonant.recipes.sources import SELF_SETTINGS, SettingSource, Sources, sources_of
from sonant.training.self_training import SelfTrainingRun
from sonant.training.tasks import TaskRun

PAPER = "arXiv 2010.11430"
WAV2VEC2 = "wav2vec 2.0 (arXiv 2006.11477), appendix B"
# By amount of labeled speech, of the model pretrained on LV-60k: LM weight and word score of the 4-gram, and of the
# Transformer.
WEIGHTS = {
    "10min": (3.86, -1.18, 1.47, -2.82),
    "1h": (3.09, -2.33, 1.33, -0.69),
    "10h": (2.12, -0.90, 0.94, -1.05),
    "100h": (2.15, -0.52, 0.87, -1.00),
    "960h": (1.57, -0.64, 0.90, -0.31),
}
OURS = SettingSource("ours", "for minutes to hours of transcripts, on a CPU")


def self_training_run(recipe: str, changes: Iterable[str | Mapping[str, Any]]) -> SelfTrainingRun:
    """Make the run of a recipe with changed settings, as in `override`.

    Raises:
        UnknownName: an unknown recipe.
        ConfigurationError: an unknown key, or an invalid value.
    """
    return override(self_training_recipe(recipe), changes)


def recipe(name: str) -> SelfTrainingRun:
    """Return a run by name."""
    amount = name.rpartition("_")[2]
    return _published(name, amount) if amount in AMOUNTS else _small(name)


def _small(name: str) -> SelfTrainingRun:
    return SelfTrainingRun(
        name=name,
        fine_tuning=task_recipe("ctc"),
        text_training=language_model_recipe("transformer_lm"),
        ctc=replace(task_recipe("ctc"), on_error="skip"),
        seq2seq=_of_subwords(500),
        decoder=DecoderOptions(beam=50, n_best=20, lm_weight=1.5, word_score=0.0),
        trials=32,
    )


def _of_subwords(count: int, *, model: str = "log_mel_small", **training: Any) -> TaskRun:
    """Return a sequence to sequence training of subwords, from random weights."""
    run = task_recipe("seq2seq_log_mel")
    task = changed(run.task, {"vocabulary": "subwords", "num_subwords": count})
    return replace(run, model=model, task=task, on_error="skip", training=replace(run.training, **training))


def _published(name: str, amount: str) -> SelfTrainingRun:
    lm_weight, word_score, rescoring_lm_weight, rescoring_word_score = WEIGHTS[amount]
    return SelfTrainingRun(
        name=name,
        fine_tuning=task_recipe(f"ctc_large_{amount}"),
        text_training=language_model_recipe("transformer_lm_large"),
        train_transformer_lm=True,
        ctc=replace(task_recipe("ctc_large_960h"), on_error="skip"),
        seq2seq=_of_subwords(
            10_000 if amount == "960h" else 5_000,
            model="log_mel_large",
            steps=320_000,
            grad_accumulation=24,
            precision="bfloat16",
        ),
        decoder=DecoderOptions(
            beam=800,
            n_best=50,
            lm_weight=lm_weight,
            word_score=word_score,
            rescoring_lm_weight=rescoring_lm_weight,
            rescoring_word_score=rescoring_word_score,
        ),
        trials=128,
    )


def sources(name: str) -> Sources:
    """Return the sources of the settings, as `sonant.recipes.sources.sources_of` does."""
    amount = name.rpartition("_")[2]
    large = amount in AMOUNTS
    trainings = {
        "fine_tuning": f"ctc_large_{amount}" if large else "ctc",
        "text_training": "transformer_lm_large" if large else "transformer_lm",
        "ctc": "ctc_large_960h" if large else "ctc",
        "seq2seq": "seq2seq_log_mel",
    }
    found = {
        f"{training}.{key}": replace(source, changes=())  # which are those of the training alone
        for training, of in trainings.items()
        for key, source in sources_of(of).items()
    }
    found |= dict.fromkeys(SELF_SETTINGS, OURS)
    if not large:
        return found
    published = SettingSource("published", f"{PAPER}, section 3")
    final = SettingSource("inferred", f"{PAPER}: the settings of 960 h of labels, for labels and texts together")
    scratch = SettingSource("ours", f"{PAPER} follows wav2letter; of ours, for as many steps as the CTC model")
    unstated = ("decoder.beam_tokens", "decoder.beam_threshold", "decoder.unknown_score")
    return (
        found
        | {key: final for key in found if key.startswith("ctc.")}
        | {key: scratch for key in found if key.startswith("seq2seq.") and key != "seq2seq.task.smoothing"}
        | {
            "seq2seq.task.num_subwords": SettingSource("published", f"{PAPER}: 10k for 960 h of labels, else 5k"),
            "decoder": published,
            **dict.fromkeys(
                (
                    "decoder.lm_weight",
                    "decoder.word_score",
                    "decoder.rescoring_lm_weight",
                    "decoder.rescoring_word_score",
                ),
                SettingSource("published", f"{WAV2VEC2}; tuned where dev is given"),
            ),
            "trials": published,
            "selection": SettingSource("published", f"{PAPER}: no text is filtered"),
            "ngram_order": SettingSource("published", f"{PAPER}: the 4-gram of LibriSpeech (lm=FILE)"),
            "train_transformer_lm": published,
            "final": published,
        }
        | dict.fromkeys(unstated, OURS)
    )
