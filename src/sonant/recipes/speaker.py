"""Speaker embeddings, for verification and identification; needs model=MODEL and data=MANIFEST.

`speaker` trains an ECAPA-TDNN, and `speaker_xvector` an x-vector head, for which transformers has a class, both over a
weighted sum of the states of a frozen model, for hours of speech of some hundred speakers: widths, steps and rates are
ours. `superb_asv` and `superb_sid` are the published runs of SUPERB (arXiv 2105.01051) on VoxCeleb1.
"""

from sonant.recipes.sources import TASK_SETTINGS, SettingSource, Sources
from sonant.recipes.superb import CONSTANT
from sonant.training import Linear, PartSettings, Training
from sonant.training.tasks import Augmentation, LabeledBatching, SpeakerTask, TaskRun, UtteranceTask

OURS = SettingSource("ours", "for hours of speech of some hundred speakers")
MARGIN = SettingSource("published", "Desplanques et al. 2020 (arXiv 2005.07143), section 4.2: AAM-softmax, s=30, m=0.2")
ASV = SettingSource("released", "s3prl, downstream/sv_voxceleb1: config.yaml and model.py")
SID = SettingSource("released", "s3prl, downstream/voxceleb1: config.yaml and model.py")
BATCH = SettingSource("ours", "as many crops of 8 s as in a batch of s3prl, and in parts of their number shorter ones")
WITHOUT = SettingSource("inferred", "the upstream model is frozen, and nothing else is changed")
ADAMW = SettingSource("inferred", "defaults of torch: s3prl sets the learning rate alone")

TRANSFORMERS = SettingSource(
    "released",
    ASV.where,
    "s3prl has ReLU behind both layers after the pooling; transformers' class of its published models has none, and so "
    "has this one",
)


def sources(name: str) -> Sources:
    """Return the sources of the settings, as `sonant.recipes.sources.sources_of` does."""
    if not name.startswith("superb_"):
        return dict.fromkeys(TASK_SETTINGS, OURS) | dict.fromkeys(("task.scale", "task.margin"), MARGIN)
    released = ASV if name == "superb_asv" else SID
    optimizer = ("training.betas", "training.eps", "training.weight_decay", "training.decay_vectors")
    return (
        dict.fromkeys(TASK_SETTINGS, released)
        | dict.fromkeys(("lora", "dropout", "augmentation", "training.parts"), WITHOUT)
        | dict.fromkeys(optimizer, ADAMW)
        | {"augmentation.crop_seconds": released, "batching": BATCH}
        | ({"task": TRANSFORMERS} if name == "superb_asv" else {"task.pooling": SID})
    )


def _superb(name: str) -> TaskRun:
    is_asv = name == "superb_asv"
    verification = SpeakerTask(objective="am_softmax", margin=0.4, calibrated=False)
    return TaskRun(
        name=name,
        task=verification if is_asv else UtteranceTask(choose_by="accuracy"),
        label="speaker",
        batching=LabeledBatching(batch_seconds=80.0 if is_asv else 64.0, max_seconds=64.0),
        augmentation=Augmentation(crop_seconds=8.0),
        training=Training(
            steps=200_000,
            lr=1e-4,
            schedule=CONSTANT,
            betas=(0.9, 0.999),
            eps=1e-8,
            weight_decay=0.01 if is_asv else 0.0,
            clip_norm=1000.0 if is_asv else 1.0,
            grad_accumulation=5 if is_asv else 4,
            validate_every=20_000 if is_asv else 4_000,
        ),
    )


def recipe(name: str) -> TaskRun:
    """Return the run of a name; of ours 3,000 steps of 64 s of audio, in crops of 3 s."""
    if name.startswith("superb_"):
        return _superb(name)
    return TaskRun(
        name=name,
        task=SpeakerTask(
            architecture="xvector" if name == "speaker_xvector" else "ecapa_tdnn",
            channels=256,
            pooled_dim=768,
            embedding_dim=192,
        ),
        label="speaker",
        augmentation=Augmentation(crop_seconds=3.0),
        training=Training(
            steps=3_000,
            lr=1e-3,
            schedule=Linear(warmup=0.1),
            clip_norm=5.0,
            parts=(PartSettings(name="backbone", lr_factor=0.05),),
            save_every=200,
            validate_every=200,
        ),
    )
