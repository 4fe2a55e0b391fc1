"""Settings that runs have in common: a name, and a folder of this name."""

from pathlib import Path

from sonant.training.stages import check_folder_names


class NamedRun:
    """The part that settings of all runs have in common.

    Attributes:
        name: of the run, and of its folder.
        output: folder of the folders of runs.
    """

    name: str
    output: str

    def __post_init__(self) -> None:
        check_folder_names(self.name)

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return Path(self.output).expanduser() / self.name


class SingleModelRun(NamedRun):
    """The part that settings of runs have in common whose folder gets the state and the model of one training."""

    @property
    def is_trained(self) -> bool:
        """True if the model of the run exists."""
        return (self.folder / "model").is_dir()

    @property
    def has_begun(self) -> bool:
        """True if the run has saved a state, from which it goes on with the same settings, or its model."""
        return self.is_trained or (self.folder / "state.pt").exists()
