"""Message of the commands that train: the folder of the model."""

from pathlib import Path

from sonant.cli.json_output import print_json


def print_model(folder: Path, how: str, *, was_finished: bool, as_json: bool) -> None:
    """Print the folder of a model that was "trained" or "pretrained", now or by an earlier call (`was_finished`)."""
    if as_json:
        print_json({"model": str(folder)})
        return
    done = "The run was finished before, with these settings; nothing was done. " if was_finished else ""
    print(f"{done}The {how} model is in {folder}")
