"""Diarization and classes by frame over a frozen model; needs model=MODEL and data=MANIFEST.

`diarization` is SUPERB's head (arXiv 2105.01051): an LSTM over a weighted sum of all states, and two speakers in the
order that fits best. `diarization_powerset` classifies frames by the set of those who talk, of three speakers, with two
layers of an LSTM in both directions. `frames` is a linear layer for classes of any kind. Steps and rates are ours, for
some hours of speech, of which states are computed once with cache=FOLDER.
"""

from sonant.recipes.sources import TASK_SETTINGS, SettingSource, Sources
from sonant.training import Linear, Training
from sonant.training.tasks import DiarizationTask, FrameTask, LabeledBatching, TaskRun

OURS = SettingSource("ours", "for some hours of speech")
SUPERB = SettingSource("published", "SUPERB (arXiv 2105.01051), section 3.2: diarization by PIT over an LSTM of 512")
POWERSET = SettingSource(
    "published", "Plaquet and Bredin (arXiv 2310.13025): three speakers, two of them at once; the LSTM is ours"
)
TASKS = {
    "diarization": DiarizationTask(lstm_dim=512, bidirectional=False),
    "diarization_powerset": DiarizationTask(
        form="powerset", num_speakers=3, max_at_once=2, lstm_dim=128, lstm_layers=2
    ),
    "frames": FrameTask(),
}
OF_TASK = {"diarization": SUPERB, "diarization_powerset": POWERSET}


def sources(name: str) -> Sources:
    """Return the sources of the settings, as `sonant.recipes.sources.sources_of` does."""
    superb = dict.fromkeys(("layer", "frozen"), SUPERB)
    return dict.fromkeys(TASK_SETTINGS, OURS) | superb | {"task": OF_TASK.get(name, OURS)}


def recipe(name: str) -> TaskRun:
    """2,000 steps of 160 s of audio, in pieces of 20 s at most."""
    return TaskRun(
        name=name,
        task=TASKS[name],
        label="segments",
        batching=LabeledBatching(batch_seconds=160.0, max_seconds=20.0),
        training=Training(
            steps=2_000, lr=1e-3, schedule=Linear(warmup=0.1), clip_norm=1.0, save_every=200, validate_every=200
        ),
    )
