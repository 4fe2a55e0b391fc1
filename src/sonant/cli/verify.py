"""`sonant verify`: comparison of the voices in two recordings."""

import sys
from pathlib import Path
from typing import Literal

from sonant.cli.json_output import print_json
from sonant.cli.options import InferenceFlags

VERDICTS = {True: "the same voice", False: "different voices", None: "no verdict"}


def verify(
    first: str,
    second: str,
    *,
    model: str,
    threshold: float | None = None,
    calibration: Path | None = None,
    channel: int | Literal["mix"] | None = None,
    json: bool = False,
    options: InferenceFlags,
) -> int:
    """Say whether one voice speaks in two recordings; best with a model that was fine-tuned for it.

    Args:
        first (FILE): a recording.
        second (FILE): another one.
        model (-m ID): a hub id, a folder or a checkpoint file; one with an x-vector head was fine-tuned for it.
        threshold: the cosine from which on voices count as one. Without it: that of the model's calibration.
        calibration (FILE): take the place of the model's calibration; made by sonant voices calibrate --output.
        channel (mix|N): the mean of each recording's channels, or one of them, counted from 0. Without it: mix.
        json: print the answer as JSON.

    Examples:
        sonant verify yesterday.wav today.wav -m microsoft/wavlm-base-plus-sv
        sonant verify a.wav b.wav -m microsoft/wavlm-base-plus-sv --threshold 0.9 --json
        sonant verify a.wav b.wav -m microsoft/wavlm-large --calibration voices.json
    """
    encoder = options.load(model)
    if calibration is not None:
        encoder.read_voice_calibration(calibration)
    answer = encoder.verify(first, second, threshold=threshold, channel=channel, **options.keywords())
    if json:
        from dataclasses import asdict

        print_json({"same": answer.same, **asdict(answer)})
        return 0
    how = f"cosine {answer.score:.3f}"
    how += "" if answer.threshold is None else f", threshold {answer.threshold:.3g}"
    how += "" if answer.probability is None else f", probability {answer.probability:.2f}"
    print(f"{VERDICTS[answer.same]} ({how})")
    if threshold is None:
        print(answer.basis, file=sys.stderr)
    return 0
