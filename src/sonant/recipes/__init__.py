"""Named runs of pretraining, of training on labels and on text, and of self-training, one file each."""

from importlib import import_module
from typing import TYPE_CHECKING

from sonant.errors import UnknownName

if TYPE_CHECKING:
    from sonant.training.runs import PretrainingRun
    from sonant.training.self_training import SelfTrainingRun
    from sonant.training.tasks import TaskRun
    from sonant.training.text import LanguageModelRun

PRETRAINING = {
    name: f"sonant.recipes.{name}"
    for name in (
        "adapt "
        "wav2vec_tiny vq_wav2vec_tiny wav2vec2_tiny hubert_tiny wavlm_tiny discrete_bert_tiny "
        "discrete_bert_small discrete_bert_base "
        "wav2vec_base wav2vec_large vq_wav2vec_gumbel vq_wav2vec_kmeans "
        "wav2vec2_base wav2vec2_large wav2vec2_large_lv60 xlsr_53 xls_r_300m xls_r_1b xls_r_2b "
        "hubert_base hubert_large hubert_xlarge "
        "wavlm_base wavlm_base_plus wavlm_large "
        "w2v_bert_tiny w2v_bert2 best_rq_base"
    ).split()
}
AMOUNTS = ("10min", "1h", "10h", "100h", "960h")  # of labeled speech
SUPERB_TASKS = ("pr", "asr", "ks", "ic", "sf", "er", "sd", "st")  # in `superb`, beside those in `speaker`
TASKS = {name: f"sonant.recipes.{name}" for name in ("utterance", "ctc", "phones", "slots", "seq2seq")} | {
    **dict.fromkeys(("enhancement", "separation", "superb_se", "superb_ss"), "sonant.recipes.separation"),
    **dict.fromkeys(("translation", "seq2seq_log_mel"), "sonant.recipes.seq2seq"),
    **dict.fromkeys(("tags", "regression"), "sonant.recipes.utterance"),
    **dict.fromkeys(("diarization", "diarization_powerset", "frames"), "sonant.recipes.diarization"),
    **dict.fromkeys(("speaker", "speaker_xvector", "superb_asv", "superb_sid"), "sonant.recipes.speaker"),
    **dict.fromkeys(
        (
            *(f"ctc_{size}_{amount}" for size in ("base", "large") for amount in AMOUNTS),
            *"ctc_hubert_10h ctc_omniasr ctc_omniasr_encoder ctc_mms_adapter".split(),
        ),
        "sonant.recipes.ctc_published",
    ),
    **dict.fromkeys((f"superb_{task}" for task in SUPERB_TASKS), "sonant.recipes.superb"),
}
LANGUAGE_MODELS = dict.fromkeys(("transformer_lm", "transformer_lm_large"), "sonant.recipes.transformer_lm")

SELF_TRAINING = dict.fromkeys(
    ("self_training", *(f"self_training_large_{amount}" for amount in AMOUNTS)), "sonant.recipes.self_training"
)


def self_training_recipe(name: str) -> "SelfTrainingRun":
    """Return a run of self-training by name: one of ours, or a published one."""
    if name not in SELF_TRAINING:
        raise UnknownName("self-training recipe", name, SELF_TRAINING)
    run: SelfTrainingRun = import_module(SELF_TRAINING[name]).recipe(name)
    return run


def language_model_recipe(name: str) -> "LanguageModelRun":
    """Return a training of a language model by name."""
    if name not in LANGUAGE_MODELS:
        raise UnknownName("language model to train", name, LANGUAGE_MODELS)
    run: LanguageModelRun = import_module(LANGUAGE_MODELS[name]).recipe(name)
    return run


def task_recipe(name: str) -> "TaskRun":
    """Return a run of training on labels by name: a task, with settings of ours, or a published run."""
    if name not in TASKS:
        raise UnknownName("task to train", name, [*TASKS, *LANGUAGE_MODELS])
    run: TaskRun = import_module(TASKS[name]).recipe(name)
    return run


def pretraining_recipe(name: str) -> "PretrainingRun":
    """Return a pretraining run by name."""
    if name not in PRETRAINING:
        raise UnknownName("pretraining recipe", name, PRETRAINING)
    run: PretrainingRun = import_module(PRETRAINING[name]).recipe()
    return run
