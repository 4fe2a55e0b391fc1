"""Published recipes of recognition by CTC, for wav2vec 2.0, HuBERT, WavLM, omniASR and MMS.

The runs of fairseq differ in the amount of labeled speech, and in base and large models ("vox" in fairseq). HuBERT has
one of its own; its authors and those of WavLM chose rates and steps for other amounts without publishing them, so that
those of wav2vec 2.0 are the nearest ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sonant.recipes.sources import TASK_SETTINGS, SettingSource, Sources
from sonant.training import Linear, PartSettings, Training, TriStage
from sonant.training.tasks import Augmentation, CTCTask, DropoutRates, LabeledBatching, TaskRun
from sonant.training.tasks.settings import NO_LANGUAGE

UNCLIPPED = 1e9
MAX_SECONDS = 40.0


@dataclass(frozen=True)
class Amount:
    """Settings of fairseq that differ by amount of labeled speech and size of the model.

    Attributes:
        frozen_steps: in which the head learns alone.
        time, channel: fractions of masked frames and channels, before overlap.
        batches: of `seconds` of speech in an update.
    """

    lr: float
    steps: int
    frozen_steps: int
    time: float
    channel: float
    layerdrop: float = 0.1
    batches: int = 8
    seconds: float = 200.0


AMOUNTS = {
    "ctc_base_10min": Amount(5e-5, 13_000, 10_000, 0.65, 0.25),
    "ctc_base_1h": Amount(5e-5, 13_000, 10_000, 0.65, 0.25),
    "ctc_base_10h": Amount(5e-5, 20_000, 10_000, 0.65, 0.5, layerdrop=0.05),
    "ctc_base_100h": Amount(3e-5, 80_000, 0, 0.65, 0.5),
    "ctc_base_960h": Amount(1e-4, 320_000, 0, 0.5, 0.1),
    "ctc_large_10min": Amount(1e-4, 13_000, 10_000, 0.65, 0.25, batches=20, seconds=80.0),
    "ctc_large_1h": Amount(3e-4, 13_000, 10_000, 0.75, 0.25, batches=20, seconds=80.0),
    "ctc_large_10h": Amount(1e-4, 20_000, 10_000, 0.75, 0.25, batches=20, seconds=80.0),
    "ctc_large_100h": Amount(3e-5, 80_000, 10_000, 0.5, 0.5, batches=20, seconds=80.0),
    "ctc_large_960h": Amount(3e-5, 320_000, 10_000, 0.5, 0.25, batches=24, seconds=80.0),
    "ctc_hubert_10h": Amount(2e-5, 25_000, 10_000, 0.75, 0.5),
}
HUBERT_SCHEDULE = TriStage(warmup=0.32, hold=0.0, decay=0.68, final_scale=0.05 ** (17_000 / 72_000))


def _fairseq(name: str) -> TaskRun:
    amount = AMOUNTS[name]
    return TaskRun(
        name=name,
        task=CTCTask(),
        label="text",
        layer="last",
        frozen="extractor",
        dropout=DropoutRates(
            dropout=0.0,
            attention_dropout=0.0,
            activation_dropout=0.1,
            input_dropout=0.0,
            layerdrop=amount.layerdrop,
        ),
        batching=LabeledBatching(batch_seconds=amount.seconds, max_seconds=MAX_SECONDS),
        augmentation=Augmentation(time_fraction=amount.time, channel_fraction=amount.channel),
        training=Training(
            steps=amount.steps,
            lr=amount.lr,
            schedule=HUBERT_SCHEDULE if name == "ctc_hubert_10h" else TriStage(),
            eps=1e-8,
            weight_decay=0.0,
            clip_norm=UNCLIPPED,
            grad_accumulation=amount.batches,
            precision="bfloat16",
            parts=(PartSettings(name="backbone", frozen_steps=amount.frozen_steps),),
        ),
    )


def _omniasr(name: str, *, steps: int, task: CTCTask) -> TaskRun:
    return TaskRun(
        name=name,
        task=task,
        label="text",
        layer="last",
        frozen="extractor",
        batching=LabeledBatching(batch_seconds=480.0, max_seconds=MAX_SECONDS),
        training=Training(
            steps=steps,
            lr=1e-5,
            schedule=TriStage(),
            eps=1e-8,
            weight_decay=0.0,
            clip_norm=UNCLIPPED,
            precision="bfloat16",
        ),
    )


def _mms_adapter(name: str) -> TaskRun:
    """Return the run of one language, which adapter=LANGUAGE is to name."""
    return TaskRun(
        name=name,
        task=CTCTask(normalize="lower"),
        label="text",
        layer="last",
        frozen="backbone",
        adapter=NO_LANGUAGE,
        batching=LabeledBatching(batch_seconds=160.0, max_seconds=MAX_SECONDS),
        training=Training(
            steps=2_000,
            lr=1e-3,
            schedule=Linear(warmup=0.05),
            eps=1e-8,
            weight_decay=0.0,
            clip_norm=1.0,
            save_every=200,
            validate_every=200,
        ),
    )


def recipe(name: str) -> TaskRun:
    """Return a published run by name; needs model=MODEL and data=MANIFEST."""
    match name:
        case "ctc_omniasr":
            return _omniasr(name, steps=5_000, task=CTCTask(vocabulary="checkpoint"))
        case "ctc_omniasr_encoder":
            return _omniasr(name, steps=30_000, task=CTCTask())
        case "ctc_mms_adapter":
            return _mms_adapter(name)
    return _fairseq(name)


def sources(name: str) -> Sources:
    """Return the sources of a run, as `sonant.recipes.sources.sources_of` does."""
    if name.startswith("ctc_omniasr"):
        return OMNIASR
    if name == "ctc_mms_adapter":
        return MMS
    return HUBERT if name == "ctc_hubert_10h" else _wav2vec2(name)


NO_LIMIT = SettingSource("ours", "a recording of 40 s fits the memory of a GPU", "fairseq has no limit")
PRECISION = SettingSource("ours", "the original has float16 with a scaled loss")
WITHOUT_LORA = SettingSource("ours", "no low-rank adapters")


def _of_file(config: str, gpus: str) -> dict[str, SettingSource]:
    """Return the sources of a run whose configuration fairseq has."""
    released = SettingSource("released", config)
    defaults = SettingSource("released", f"{config}; defaults of models/wav2vec/wav2vec2_asr.py")
    return dict.fromkeys(TASK_SETTINGS, released) | {
        "lora": WITHOUT_LORA,
        "dropout": defaults,
        "augmentation": defaults,
        "augmentation.speeds": SettingSource("released", "none: fairseq, data/audio/raw_audio_dataset.py"),
        "batching.max_seconds": NO_LIMIT,
        "training.clip_norm": SettingSource("released", f"none: {config}"),
        "training.grad_accumulation": SettingSource("released", f"{gpus}: {config}"),
        "training.precision": PRECISION,
    }


def _wav2vec2(name: str) -> Sources:
    _, size, amount = name.split("_")
    file = f"{'vox' if size == 'large' else 'base'}_{amount.replace('min', 'm')}.yaml"
    gpus = {"base": "2 GPUs, 4 batches each", "large": "4 GPUs, 5 batches each"}[size]
    if amount == "960h":
        gpus = f"{AMOUNTS[name].batches} GPUs"
    return _of_file(f"fairseq, examples/wav2vec/config/finetuning/{file}", gpus)


HUBERT_FILE = "fairseq, examples/hubert/config/finetune/base_10h.yaml"
HUBERT: Mapping[str, SettingSource] = _of_file(HUBERT_FILE, "") | {
    "training.schedule": SettingSource(
        "released", f"{HUBERT_FILE}: 8,000 steps of warm-up, then 17,000 of a decay that would take 72,000"
    ),
    "training.grad_accumulation": SettingSource(
        "recalled",
        "arXiv 2106.07447: 8 GPUs",
        f"{HUBERT_FILE}: one GPU, which README.md changes on the command line",
        ("training.grad_accumulation=1",),
    ),
}
OMNIASR_CODE = "omnilingual-asr, workflows/recipes/wav2vec2/asr/configs"
OMNIASR: Mapping[str, SettingSource] = dict.fromkeys(TASK_SETTINGS, SettingSource("released", OMNIASR_CODE)) | {
    "frozen": SettingSource("inferred", "as in fairseq's runs; omniASR freezes no part besides"),
    "lora": WITHOUT_LORA,
    "dropout": SettingSource("ours", "that of the model"),
    "training.schedule": SettingSource("recalled", "defaults of fairseq2's recipe wav2vec2/asr"),
    "training.betas": SettingSource("recalled", "defaults of fairseq2's recipe wav2vec2/asr"),
    "training.eps": SettingSource("recalled", "defaults of fairseq2's recipe wav2vec2/asr"),
    "training.weight_decay": SettingSource("ours", "none"),
    "training.decay_vectors": SettingSource("ours", "no effect without weight decay"),
    "training.clip_norm": SettingSource("ours", "none"),
    "training.grad_accumulation": SettingSource("ours", "one GPU; the number of the authors was not found"),
}
MMS: Mapping[str, SettingSource] = dict.fromkeys(
    TASK_SETTINGS, SettingSource("ours", "for minutes to hours of speech of one language")
) | {
    "frozen": SettingSource("recalled", "arXiv 2305.13516: adapter and output layer of a language alone"),
    "training.steps": SettingSource("recalled", "arXiv 2305.13516: 2,000 updates for the adapters of a language"),
    "training.lr": SettingSource("reported", "model cards of adapters trained by transformers' example: 1e-3"),
    "training.schedule": SettingSource(
        "reported", "model cards of adapters trained by transformers' example: 100 steps of warm-up, linear decay"
    ),
    "batching.batch_seconds": SettingSource(
        "inferred", "batches of 32 recordings, reported in such model cards, of 5 s"
    ),
}
