"""`sonant analyze`: what each layer of a model knows."""

import shlex
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sonant.cli.options import InferenceFlags

if TYPE_CHECKING:
    from sonant.analysis import Analysis


def analyze(
    *models: str,
    data: str,
    dev: str | None = None,
    test: str | None = None,
    output: Path = Path("analysis"),
    fields: list[str] | None = None,
    speaker: str = "speaker",
    word: str | None = None,
    alignments: Path | None = None,
    pool: Literal["mean", "mean+std"] = "mean",
    presets: list[str] | None = None,
    heads: list[str] | None = None,
    frames: int = 20_000,
    write_card: bool = False,
    on_error: Literal["skip", "raise"] = "skip",
    json: bool = False,
    options: InferenceFlags,
) -> int:
    """Measure by layer what a model knows of recordings, or two models side by side.

    Linear probes of the fields of the manifest, of phones and words with times, of pitch and energy; similarity to
    log-mel (CKA, CCA) and to words (CCA); purity and PNMI of k-means units; ABX. All have 95 % intervals. What the
    data cannot show is said. The output is a folder with analysis.json, results.md, a page (index.html), and the
    states computed: a command that was stopped goes on when it is given again.

    The layers that it suggests for tasks can be written into the folder of a model; `--task` of `sonant embed` then
    takes them.

    Args:
        models (MODEL): a hub id, a folder or a checkpoint file; or two of them.
        data (MANIFEST|FOLDER): recordings with labels. A field `split` (train, dev, test) divides them; without it they
            are divided by speaker where that is possible.
        dev (MANIFEST): recordings to choose layers by; --data is then to learn from.
        test (MANIFEST): recordings to measure on.
        output (-o FOLDER): where the results go.
        fields (FIELD,...): fields to probe. Without it: all with values that recur.
        speaker (FIELD): field with the speaker.
        word (FIELD): field with the word, of recordings of single words.
        alignments (FILE|FOLDER): times of phones and words: the JSON of `sonant align`, or TextGrids.
        pool: of the frames of a recording for its probes.
        presets (TASK=PROPERTY,...): properties that stand for the tasks of the presets, such as emotion=label.
            Without it: speaker=speaker, and for content phones or words.
        heads (FOLDER,...): models with trained heads, or results.json of `sonant evaluate superb`, whose learned
            weights of the layers are shown.
        frames (N): drawn at random from all recordings, for the measures of frames.
        write_card: write the suggested presets, and what was measured for its card, into the folder of the model.
        on_error: skip a recording that cannot be used and go on (the exit code is then 1), or raise.
        json: print the analysis as JSON.

    Examples:
        sonant analyze sonant/wavlm-tiny --data examples/speech -o analysis
        sonant analyze sonant/wavlm-tiny --data words.jsonl --word label --presets content=label -o words
        sonant analyze microsoft/wavlm-base-plus facebook/hubert-base-ls960 --data corpus.jsonl --alignments textgrids
    """
    from sonant.api import analyze as analyze_layers
    from sonant.cli.json_output import print_json
    from sonant.extraction.names import complaint

    done = analyze_layers(
        [options.load(model) for model in models],
        data,
        dev=dev,
        test=test,
        output=output,
        fields=fields,
        speaker=speaker,
        word=word,
        alignments=alignments,
        pool=pool,
        tasks=_by_task(presets or []),
        heads=heads or (),
        num_frames=frames,
        write_card=write_card,
        on_error=on_error,
        command=f"sonant {shlex.join(sys.argv[1:])}",
        progress=None,
        **options.keywords(),
    )
    if json:
        print_json(done.to_json())
    else:
        _print(done)
        print(output)
    failures = done.data.failures
    if failures:
        print(f"{len(failures)} recordings could not be used", file=sys.stderr)
        for name, message in islice(failures.items(), 3):
            print("  " + complaint(name, message), file=sys.stderr)
    return 1 if failures else 0


def _by_task(presets: list[str]) -> dict[Literal["speaker", "content", "emotion", "semantic"], str]:
    """Return properties by task. Raises ConfigurationError, UnknownName."""
    from typing import get_args

    from sonant.errors import ConfigurationError, UnknownName
    from sonant.models.families import Task

    found: dict[Task, str] = {}
    for each in presets:
        task, equals, name = each.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"--presets was given {each!r}; expected TASK=PROPERTY, such as emotion=label.")
        if task not in get_args(Task):
            raise UnknownName("task", task, get_args(Task))
        found[task] = name  # type: ignore[index]
    return found


def _print(done: "Analysis") -> None:
    """Print the summaries, presets and what was not measured."""
    for model in done.models:
        print(model.name)
        print("".join(f"  {sentence}\n" for sentence in model.summary), end="")
        for task, preset in model.presets.items():
            print(f"  Suggested for {task}: layer {preset.layer}, pool {preset.pool or 'none'}")
    for sentence in done.data.not_measured:
        print(f"Not measured: {sentence}")
