"""Speed of decoding: greedy, beam searches, and those of other libraries, on the same emissions.

    python -m benchmarks.decoding --out OUT [--recordings 32] [--seconds 10] [--beam 8] [--rounds 5] [--threads 2]
                                  [--device cpu] [--model sonant/wavlm-tiny] [--clock wall]

Emissions are made of random sentences: peaked at their letters and blanks, with some letters confused, at 50 frames a
second. The language model is a 4-gram of such sentences. `forward` is the time that the model takes for as much speech,
beside which decoding is to be seen. flashlight-text and ctc-beam-decoder are measured if they are installed (the extra
`lm`); they decode a recording at a time on one core. All are measured in turns; OUT receives decoding.json and
decoding.md with the medians. On a machine with other work, `--clock cpu --threads 1` measures the time of the process
on one core.
"""

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

import sonant
from sonant.decoding.ctc import best_path, path_transcript
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.ngrams.files import load_ngram_model
from sonant.decoding.prefix_beam import BeamSearch, Lexicon, PrefixBeamDecoder
from sonant.layers.packed import Packed

TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
VOCABULARY = CTCVocabulary.of(TOKENS)
FRAME_RATE = 50
LM_WEIGHT, WORD_SCORE = 0.9, -0.5


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    for name, value in (("recordings", 32), ("beam", 8), ("rounds", 5), ("threads", 2), ("words", 5_000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    draw = torch.Generator().manual_seed(0)
    words = random_words(options.words, draw)
    follow = torch.randint(len(words), (len(words), 8), generator=draw)
    arpa = write_arpa(options.out / "lm.arpa", [sentence(words, follow, 12, draw) for _ in range(5_000)])
    frames = round(options.seconds * FRAME_RATE)
    clips = [emission(sentence(words, follow, 60, draw), frames, draw) for _ in range(options.recordings)]
    ways = {
        "forward": forward(options.model, options.recordings, options.seconds, options.device),
        **ours(Packed.pack(clips).to(options.device), arpa, words, options.beam),
        **flashlight(clips, arpa, words, options.beam),
        **ctc_beam_decoder(clips, arpa, words, options.beam),
    }
    clock = time.process_time if options.clock == "cpu" else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name, way in ways.items():
            begin = clock()
            way()
            if options.device != "cpu":
                torch.cuda.synchronize()
            if number:  # the first round warms up
                times[name].append(clock() - begin)
    medians = {name: median(values) for name, values in times.items()}
    audio = options.recordings * options.seconds
    lines = ["| | s | seconds of audio a second | × greedy | × greedy with forward |", "|---|---|---|---|---|"]
    whole = medians["forward"] + medians["greedy"]
    for name, value in medians.items():
        both = "" if name == "forward" else f"{(medians['forward'] + value) / whole:.2f}"
        lines.append(f"| {name} | {value:.3f} | {audio / value:.0f} | {value / medians['greedy']:.2f} | {both} |")
    table = "\n".join(lines)
    (options.out / "decoding.md").write_text(table + "\n", encoding="utf-8")
    settings = {name: str(value) for name, value in vars(options).items()}
    (options.out / "decoding.json").write_text(json.dumps({**settings, "times": times}, indent=2) + "\n", "utf-8")
    print(table)


def random_words(count: int, draw: torch.Generator) -> list[str]:
    """Distinct words of two to nine letters; frequent letters of English are frequent."""
    letters = TOKENS[5:]
    weights = torch.linspace(3, 0.1, len(letters))
    found: dict[str, None] = {}
    while len(found) < count:
        length = int(torch.randint(2, 10, (), generator=draw))
        found["".join(letters[i] for i in torch.multinomial(weights, length, True, generator=draw).tolist())] = None
    return list(found)


def sentence(words: Sequence[str], follow: Tensor, length: int, draw: torch.Generator) -> list[str]:
    """Words of a random walk: each is followed by one of eight others."""
    numbers = [int(torch.randint(len(words), (), generator=draw))]
    choices = torch.randint(follow.shape[1], (length,), generator=draw).tolist()
    for choice in choices[1:]:
        numbers.append(int(follow[numbers[-1], choice]))
    return [words[number] for number in numbers]


def emission(said: Sequence[str], frames: int, draw: torch.Generator) -> Tensor:
    """Log-probabilities (frames, tokens): a letter for one or two frames, then blanks; some letters are unsure."""
    logits = torch.randn(frames, len(TOKENS), generator=draw)
    place = 10
    for letter in "|".join(said):
        length, gap = torch.randint(1, 3, (2,), generator=draw).tolist()
        if place + length >= frames - 10:
            break
        logits[place : place + length, TOKENS.index(letter)] += 12
        other = int(torch.randint(5, len(TOKENS), (), generator=draw))
        logits[place : place + length, other] += 12 * float(torch.rand((), generator=draw)) ** 0.5
        place += length + gap
    silent = logits.amax(1) < 6
    logits[silent, 0] += 12
    return logits.log_softmax(-1)


def write_arpa(path: Path, sentences: Sequence[Sequence[str]], order: int = 4) -> Path:
    """Write an n-gram model with absolute discounting of 0.5, for speed alone: KenLM reads it too."""
    counts = [Counter[tuple[str, ...]]() for _ in range(order)]
    for said in sentences:
        line = ("<s>", *said, "</s>")
        for size in range(1, order + 1):
            counts[size - 1].update(line[i : i + size] for i in range(len(line) - size + 1))
    counts[0]["<unk>",] = 1
    continued = [Counter[tuple[str, ...]]() for _ in range(order)]
    for size in range(1, order):
        for ngram in counts[size]:
            continued[size - 1][ngram[:-1]] += 1
    total = sum(counts[0].values())
    with path.open("w", encoding="utf-8") as file:
        file.write("\\data\\\n" + "".join(f"ngram {i + 1}={len(each)}\n" for i, each in enumerate(counts)))
        for size, each in enumerate(counts, start=1):
            file.write(f"\n\\{size}-grams:\n")
            for ngram, count in each.items():
                below = total if size == 1 else counts[size - 2][ngram[:-1]]
                value = math.log10((count - 0.5 * (size > 1)) / below)
                back_off = math.log10(0.5 * continued[size - 1][ngram] / count) if continued[size - 1][ngram] else 0.0
                end = f"\t{back_off:.5f}" if size < order else ""
                file.write(f"{value:.5f}\t{' '.join(ngram)}{end}\n")
        file.write("\n\\end\\\n")
    return path


def forward(model: str, recordings: int, seconds: float, device: str) -> Callable[[], object]:
    """The model's computation of as much noise, in memory."""
    encoder = sonant.load(model, device=device)
    noise = [torch.randn(round(seconds * 16_000)).numpy() * 0.1 for _ in range(recordings)]
    return partial(encoder.encode, noise, sampling_rate=16_000, pool="mean")


def ours(emissions: Packed, arpa: Path, words: Sequence[str], beam: int) -> dict[str, Callable[[], object]]:
    """Greedy decoding and prefix beam searches."""
    lm, lexicon = load_ngram_model(arpa), Lexicon.of(words)
    plain = BeamSearch(beam=beam)
    fused = BeamSearch(beam=beam, lm_weight=LM_WEIGHT, word_score=WORD_SCORE)

    def greedy() -> None:
        for clip in emissions.unpack():
            path_transcript(best_path(clip), VOCABULARY, frame_rate=FRAME_RATE, duration_seconds=1.0)

    decoders = {
        "beam": PrefixBeamDecoder(VOCABULARY, plain),
        "beam, 4-gram": PrefixBeamDecoder(VOCABULARY, fused, lm=lm),
        "beam, lexicon": PrefixBeamDecoder(VOCABULARY, plain, lexicon=lexicon),
        "beam, lexicon, 4-gram": PrefixBeamDecoder(VOCABULARY, fused, lm=lm, lexicon=lexicon),
    }
    return {"greedy": greedy} | {name: partial(decoder.decode, emissions) for name, decoder in decoders.items()}


def flashlight(clips: Sequence[Tensor], arpa: Path, words: Sequence[str], beam: int) -> dict[str, Callable[[], object]]:
    """Beam searches of flashlight-text, one recording after the other."""
    if find_spec("flashlight") is None:
        return {}
    from flashlight.lib.text import decoder as library
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    dictionary = Dictionary([*words, "<unk>"])
    arrays = [clip.contiguous().numpy() for clip in clips]
    ways: dict[str, Callable[[], object]] = {}
    for name, lm in (("lexicon", library.ZeroLM()), ("lexicon, 4-gram", KenLM(str(arpa), dictionary))):
        trie, start = library.Trie(len(TOKENS), 4), lm.start(False)
        for word in words:
            index = dictionary.get_index(word)
            trie.insert([TOKENS.index(letter) for letter in word + "|"], index, lm.score(start, index)[1])
        trie.smear(library.SmearingMode.MAX)
        options = library.LexiconDecoderOptions(
            beam,
            len(TOKENS),
            50.0,
            LM_WEIGHT * math.log(10),
            WORD_SCORE,
            -math.inf,
            0.0,
            True,
            library.CriterionType.CTC,
        )
        unknown = dictionary.get_index("<unk>")
        search = library.LexiconDecoder(options, trie, lm, 4, 0, unknown, [], False)

        def decode(search: object = search) -> None:
            for array in arrays:
                search.decode(array.ctypes.data, *array.shape)

        ways[f"flashlight-text: beam, {name}"] = decode
    return ways


def ctc_beam_decoder(
    clips: Sequence[Tensor], arpa: Path, words: Sequence[str], beam: int
) -> dict[str, Callable[[], object]]:
    """Beam searches of ctc-beam-decoder, one recording after the other."""
    if find_spec("ctc_beam_decoder") is None:
        return {}
    from ctc_beam_decoder import build_ctcdecoder

    labels = ["", *TOKENS[1:4], *TOKENS[4:]]
    arrays = [clip.numpy() for clip in clips]
    decoders = {
        "beam": build_ctcdecoder(labels),
        "beam, 4-gram": build_ctcdecoder(labels, str(arpa), unigrams=list(words), alpha=LM_WEIGHT, beta=WORD_SCORE),
    }

    def decode(decoder: object) -> None:
        for array in arrays:
            decoder.decode(array, beam_width=beam)

    return {f"ctc-beam-decoder: {name}": partial(decode, decoder) for name, decoder in decoders.items()}


if __name__ == "__main__":
    main()
