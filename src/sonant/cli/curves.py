"""`sonant pretrain curves`: the metrics of runs, in one picture."""

from pathlib import Path


def curves(*runs: Path, output: Path = Path("curves.png")) -> int:
    """Plot the losses, accuracies and probes of runs of pretraining, finished or not, in one picture.

    A row for each stage; of several runs each has a color.

    Args:
        runs (RUN): folders of runs, or of stages.
        output (-o PICTURE): the picture; its ending is the format. Without it: curves.png.

    Examples:
        sonant pretrain curves runs/wavlm_tiny
        sonant pretrain curves runs/with_mixing runs/without -o comparison.png
    """
    from sonant.errors import ConfigurationError
    from sonant.training.curves import plot_runs

    if not runs:
        raise ConfigurationError("No run was named. Name folders of runs: sonant pretrain curves runs/wavlm_tiny")
    plot_runs(runs, output)
    print(output)
    return 0
