"""Trackers of experiments, which show the metrics of a training: TensorBoard, Weights and Biases, MLflow."""

import json
import os
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal, Protocol, get_args

from sonant.data.files import atomic
from sonant.errors import ConfigurationError, MissingExtra, UnknownName

TrackerName = Literal["tensorboard", "wandb", "mlflow"]
TITLES = {"tensorboard": "TensorBoard", "wandb": "Weights and Biases", "mlflow": "MLflow"}
EXTRAS = {"tensorboard": "train", "wandb": "wandb", "mlflow": "mlflow"}
RUN_IDS = "trackers.json"  # by tracker, in the folder of a training, so that a resumed one continues the same run
PROJECT = "sonant"  # of W&B, and experiment of MLflow, unless their environment variables name another


class Tracker(Protocol):
    """Place where the metrics of one training are shown."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Show the metrics of a step; steps never decrease."""

    def close(self, *, failed: bool) -> None:
        """End the run, or mark it as failed."""


def installed_trackers() -> tuple[TrackerName, ...]:
    """Return the trackers that are used unless others are named: TensorBoard, if it is installed."""
    return ("tensorboard",) if find_spec("tensorboard") else ()


def check_trackers(names: tuple[TrackerName, ...]) -> None:
    """Raise UnknownName or MissingExtra for a tracker that cannot be opened."""
    for name in names:
        if name not in TITLES:
            raise UnknownName("tracker", name, get_args(TrackerName))
        if find_spec(name) is None:
            raise MissingExtra(name, extra=EXTRAS[name], purpose=f"Showing the metrics of a training in {TITLES[name]}")


def open_tracker(name: TrackerName, folder: Path, step: int, *, title: str, settings: Mapping[str, Any]) -> Tracker:
    """Open a tracker for a training.

    Args:
        folder: of the training.
        step: its number of updates so far.
        title: of the run that is shown.
        settings: shown beside it, as nested JSON values.
    """
    check_trackers((name,))
    match name:
        case "tensorboard":
            return TensorBoard(folder, step)
        case "wandb":
            return WeightsAndBiases(folder, title, settings)
        case "mlflow":
            return MLflow(folder, title, settings)


class TensorBoard:
    """Event files in the folder of the training."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=step)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self, *, failed: bool) -> None:  # noqa: ARG002
        self._writer.close()


class WeightsAndBiases:
    """Run of Weights and Biases, online or offline as its environment variables say (WANDB_MODE, WANDB_PROJECT)."""

    def __init__(self, folder: Path, title: str, settings: Mapping[str, Any]) -> None:
        import wandb

        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                group=title.partition("/")[0],
                name=title,
                id=_run_id(folder, "wandb", lambda: token_hex(8)),
                resume="allow",
                dir=str(folder),
                config=dict(settings),
            )
        except wandb.errors.Error as error:
            raise ConfigurationError(
                f"Weights and Biases cannot be started: {error}. Log in with `wandb login`; or set WANDB_MODE=offline, "
                "and upload the run later with `wandb sync`."
            ) from error

    def log(self, step: int, values: Mapping[str, float]) -> None:
        # Steps that a resumed training repeats are ignored there; their values are those of before.
        self._run.log(dict(values), step=step)

    def close(self, *, failed: bool) -> None:
        self._run.finish(exit_code=1 if failed else 0)


class MLflow:
    """Run of MLflow, at MLFLOW_TRACKING_URI and in MLFLOW_EXPERIMENT_NAME."""

    def __init__(self, folder: Path, title: str, settings: Mapping[str, Any]) -> None:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        self._client = MlflowClient()
        try:
            self._run_id = _run_id(folder, "mlflow", lambda: self._create(title, settings))
            self._client.update_run(self._run_id, status="RUNNING")
        except MlflowException as error:
            raise ConfigurationError(
                f"The MLflow run of {folder} cannot be opened: {error}. MLFLOW_TRACKING_URI names the server or store; "
                f"a training that is resumed needs the one that it began with. Remove {folder / RUN_IDS} for a new run."
            ) from error

    def _create(self, title: str, settings: Mapping[str, Any]) -> str:
        from mlflow.entities import Param

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        experiment = self._client.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment else self._client.create_experiment(name)
        run_id: str = self._client.create_run(number, run_name=title).info.run_id
        params = [Param(key, value) for key, value in _flat(settings)]
        for first in range(0, len(params), 100):  # as many as fit into one call
            self._client.log_batch(run_id, params=params[first : first + 100])
        return run_id

    def log(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._client.log_batch(self._run_id, metrics=[Metric(name, value, now, step) for name, value in values.items()])

    def close(self, *, failed: bool) -> None:
        self._client.set_terminated(self._run_id, status="FAILED" if failed else "FINISHED")


def _run_id(folder: Path, tracker: str, create: Callable[[], str]) -> str:
    """Return the id of the folder's run in a tracker, from the file that keeps it, or a new one."""
    path = folder / RUN_IDS
    ids: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if tracker not in ids:
        ids[tracker] = create()
        with atomic(path) as draft:
            draft.write_text(json.dumps(ids) + "\n", encoding="utf-8")
    return ids[tracker]


def _flat(settings: Any, name: str = "") -> list[tuple[str, str]]:
    """Flatten nested settings to dotted names with values as text."""
    if isinstance(settings, list) and any(isinstance(item, Mapping) for item in settings):
        settings = {str(number): item for number, item in enumerate(settings)}
    if isinstance(settings, Mapping):
        return [pair for key, item in settings.items() for pair in _flat(item, f"{name}.{key}" if name else str(key))]
    return [(name, str(settings))]
