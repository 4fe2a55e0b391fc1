"""Processor time of a window of a long recording whose words are reported as they are decoded.

    python -m benchmarks.streamed_words --out OUT [--minutes 60] [--seconds 20] [--beam 50]

The emissions are those of `benchmarks/decoding.py`, made window by window; the lexicon and the 4-gram are its own. OUT
receives streamed_words.json and .md: for each way the time of a window in the first, the tenth and the last minute, the
time of all windows, and the lag: how far behind the end of a window the last word that is certain ends.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median

import torch
from torch import Tensor

from benchmarks.decoding import (
    FRAME_RATE,
    LM_WEIGHT,
    VOCABULARY,
    WORD_SCORE,
    emission,
    random_words,
    sentence,
    write_arpa,
)
from sonant.decoding.ctc import best_path
from sonant.decoding.ngrams.files import load_ngram_model
from sonant.decoding.path_words import PathWords
from sonant.decoding.prefix_beam import BeamSearch, Lexicon, PrefixBeamDecoder
from sonant.decoding.results import Word

Window = Callable[[Tensor], tuple[Sequence[Word], Sequence[Word]]]  # from an emission to words: certain, and ahead


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seconds", type=float, default=20.0, help="of a window")
    parser.add_argument("--beam", type=int, default=50)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    draw = torch.Generator().manual_seed(0)
    words = random_words(5_000, draw)
    follow = torch.randint(len(words), (len(words), 8), generator=draw)
    arpa = write_arpa(options.out / "lm.arpa", [sentence(words, follow, 12, draw) for _ in range(5_000)])
    lm = load_ngram_model(arpa)
    fused = BeamSearch(beam=options.beam, lm_weight=LM_WEIGHT, word_score=WORD_SCORE)
    ways = {
        "greedy": greedy(),
        "beam": search(PrefixBeamDecoder(VOCABULARY, BeamSearch(beam=options.beam))),
        "beam, lexicon, 4-gram": search(PrefixBeamDecoder(VOCABULARY, fused, lm=lm, lexicon=Lexicon.of(words))),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    lags: dict[str, list[float]] = {name: [] for name in ways}
    certain = dict.fromkeys(ways, 0.0)
    for number in range(round(60 * options.minutes / options.seconds)):
        said = sentence(words, follow, round(6 * options.seconds), draw)
        values = emission(said, round(options.seconds * FRAME_RATE), draw)
        for name, window in ways.items():
            begin = time.process_time()
            settled, _ = window(values)
            times[name].append(time.process_time() - begin)
            certain[name] = settled[-1].end_seconds if settled else certain[name]
            lags[name].append((number + 1) * options.seconds - certain[name])
    minute = max(1, round(60 / options.seconds))
    lines = [
        "| | ms, minute 1 | minute 10 | last | s in all | lag, median s | largest |",
        "|---|" + 6 * "---|",
    ]
    for name, each in times.items():
        parts = (each[:minute], each[9 * minute : 10 * minute] or each[-minute:], each[-minute:])
        cells = " | ".join(f"{1000 * fmean(part):.1f}" for part in parts)
        lines.append(f"| {name} | {cells} | {sum(each):.2f} | {median(lags[name]):.1f} | {max(lags[name]):.1f} |")
    table = "\n".join(lines)
    (options.out / "streamed_words.md").write_text(table + "\n", encoding="utf-8")
    settings = {name: str(value) for name, value in vars(options).items()}
    found = json.dumps({**settings, "times": times, "lags": lags}, indent=2)
    (options.out / "streamed_words.json").write_text(found + "\n", encoding="utf-8")
    print(table)


def greedy() -> Window:
    """The words of the best path."""
    words = PathWords(VOCABULARY, FRAME_RATE)
    return lambda values: (words.append(best_path(values)), ())


def search(decoder: PrefixBeamDecoder) -> Window:
    """The words of a beam search, and those of its best hypothesis behind them."""
    under_way = decoder.begin(torch.device("cpu"), frame_rate=FRAME_RATE)

    def window(values: Tensor) -> tuple[Sequence[Word], Sequence[Word]]:
        under_way.append(values)
        return under_way.settled(), under_way.ahead()

    return window


if __name__ == "__main__":
    main()
