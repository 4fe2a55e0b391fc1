"""`sonant verify`: comparison of the voices in two recordings."""

from typing import Literal

from sonant.cli.options import InferenceFlags


def verify(
    first: str,
    second: str,
    *,
    model: str,
    threshold: float | None = None,
    channel: int | Literal["mix"] | None = None,
    json: bool = False,
    options: InferenceFlags,
) -> int:
    """Say whether one voice speaks in two recordings, with a model that was fine-tuned for it.

    Args:
        first (FILE): a recording.
        second (FILE): another one.
        model (-m ID): a hub id, a folder or a checkpoint file, with an x-vector head.
        threshold: the cosine from which on voices count as one. Without it: 0.86, named for wavlm-base-plus-sv.
        channel (mix|N): the mean of each recording's channels, or one of them, counted from 0. Without it: mix.
        json: print the answer as JSON.

    Examples:
        sonant verify yesterday.wav today.wav -m microsoft/wavlm-base-plus-sv
        sonant verify a.wav b.wav -m microsoft/wavlm-base-plus-sv --threshold 0.9 --json
    """
    encoder = options.load(model)
    answer = encoder.verify(first, second, threshold=threshold, channel=channel, **options.keywords())
    if json:
        import json as json_module

        print(json_module.dumps({"score": answer.score, "threshold": answer.threshold, "same": answer.same}))
    else:
        voice = "the same voice" if answer.same else "different voices"
        print(f"{voice} (cosine {answer.score:.3f}, threshold {answer.threshold:g})")
    return 0
