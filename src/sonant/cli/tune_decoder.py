"""`sonant tune-decoder`: the weights of a decoder, searched on recordings with transcripts."""

import sys
from itertools import islice
from pathlib import Path
from typing import Literal

from sonant.cli.options import InferenceFlags
from sonant.extraction.decoder_options import DecoderOptions


def tune_decoder(
    model: str,
    *,
    data: str,
    output: Path,
    trials: int = 128,
    silence: bool = False,
    seed: int = 0,
    label: str = "text",
    normalize: Literal["none", "cased", "lower", "upper"] = "none",
    json: bool = False,
    decoding: DecoderOptions,
    options: InferenceFlags,
) -> int:
    """Search the LM weight and the word score that give the fewest word errors on recordings with transcripts.

    The output gets decoder.json, which sonant transcribe, evaluate and serve take as --decoder, the trials
    (trials.jsonl), a plot of their word error rates (wer.png), and the emissions, which are computed once. A run that
    was stopped goes on when it is started again; with more --trials they are added. Numbers that are given, such as
    --lm-weight, are not searched. Recordings that could not be used are named, and the exit code is then 1.

    Args:
        model (MODEL): a hub id, a folder or a checkpoint file, with a CTC head.
        data (MANIFEST|FOLDER): recordings with their transcripts, which are in no training set.
        output (-o FOLDER): where decoder.json and the trials go.
        trials (N): how many values are tried.
        silence: search the silence weight, too.
        seed: of the trials.
        label (FIELD): field of the manifest with the transcript.
        normalize: of both texts: none; cased (without punctuation), or lower or upper case as well.
        json: print the result as JSON.

    Examples:
        sonant tune-decoder runs/ctc/model --data dev.jsonl --lm 4-gram.arpa.gz -o decoder
        sonant tune-decoder facebook/wav2vec2-base-960h --data dev.jsonl --lm 4-gram.bin --normalize upper -o decoder
        sonant transcribe talk.flac -m runs/ctc/model --decoder decoder/decoder.json
    """
    from dataclasses import asdict

    from sonant.api.decoder_tuning import tune_decoder as tune
    from sonant.cli.json_output import print_json
    from sonant.extraction.names import complaint

    done = tune(
        options.load(model),
        data,
        output,
        decoding,
        trials=trials,
        silence=silence,
        seed=seed,
        label=label,
        normalize=normalize,
        progress=None,
        **options.keywords(),
    )
    if json:
        rates = {"wer": done.best.wer, "greedy_wer": done.greedy.wer, "trials": list(map(asdict, done.trials))}
        print_json({"decoder": str(done.path), "values": dict(done.best.values), **rates})
    else:
        values = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in done.best.values.items())
        print(f"greedy  WER {100 * done.greedy.wer:.2f} %\nbest    WER {100 * done.best.wer:.2f} %  {values}")
        print(done.path)
    if done.failures:
        print(f"{len(done.failures)} could not be used", file=sys.stderr)
        for name, message in islice(done.failures.items(), 3):
            print("  " + complaint(name, message), file=sys.stderr)
    return 1 if done.failures else 0
