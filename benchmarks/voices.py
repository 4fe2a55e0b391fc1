"""Enrolled voices: equal error rate, open-set identification errors, and recordings of several voices.

    python -m benchmarks.voices FOLDER
    python -m benchmarks.voices FOLDER --model MODEL --write voices.json      # its calibration, too
    python -m benchmarks.voices FOLDER --page docs/voices.md                  # and the table of a page

FOLDER holds sid_dev.jsonl and sid_test.jsonl, on which the calibration is set, and asv.jsonl with trials.txt (`1|0
ENROLLED TEST`, paths as in asv.jsonl) of other speakers, on which it is measured; each row has a `speaker`. All is
measured twice: without and with the normalization.

Identification: half of the speakers are enrolled, drawn at random, with one or three recordings each; the others are
unknown. FPIR: share of recordings of unknown speakers that are taken for an enrolled one. FNIR: share of the other
recordings of enrolled speakers for which the answer is not that speaker. Means over the draws.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import sonant
from benchmarks.page_blocks import write_block
from sonant.audio import read
from sonant.data import ManifestEntry, read_manifest
from sonant.decoding.known_voices import EnrolledRecording, KnownVoices, Person
from sonant.decoding.voice_calibration import VoiceCalibration, comparable
from sonant.evaluation import calibrate_voices, eer, speaker_bootstrap
from sonant.evaluation.calibration import SHRINKAGES
from sonant.extraction.voice_samples import VoiceSample

Floats = npt.NDArray[np.float64]
DRAWS = 50
RATES = (0.01, 0.05, 0.1)
MIXED = 100  # recordings of two voices


class Figures(NamedTuple):
    """Figures of one calibration.

    Attributes:
        eer: equal error rate, with the ends of its 95 % interval.
        found: errors with one and with three enrolled recordings per person.
        refused: share of recordings of one voice, and of two, that are refused as of several.
    """

    eer: tuple[float, float, float]
    found: list[dict[str, float]]
    refused: tuple[float, float]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--write", type=Path, help="file for the calibration, by the fingerprint of the model's voices")
    parser.add_argument("--page", type=Path, help="page with a block for the figures")
    parser.add_argument("--data", help="the name of the recordings in the calibration; without it, the folder's")
    options = parser.parse_args(arguments)
    encoder = sonant.load(options.model, device="cpu")
    heard = [*read_manifest(options.folder / "sid_dev.jsonl"), *read_manifest(options.folder / "sid_test.jsonl")]
    samples = encoder.voice_samples([str(entry.path) for entry in heard], progress=None)
    name = options.data or options.folder.resolve().name
    entries = read_manifest(options.folder / "asv.jsonl")
    others = encoder.voice_samples([str(entry.path) for entry in entries], progress=None)
    mixed = mixtures(entries)
    of_two = encoder.voice_samples(mixed, progress=None)
    figures: list[Figures] = []
    for shrinkages in ((), SHRINKAGES):
        calibration = calibrated(heard, samples, data=name, shrinkages=shrinkages)
        print(f"{'with' if calibration.normalization else 'without'} normalization: {calibration.basis}")
        print(
            f"llr = {calibration.slope:.2f} * cosine {calibration.offset:+.2f}; threshold {calibration.threshold:.3f}\n"
        )
        figures.append(
            Figures(
                verification(options.folder, entries, others, calibration),
                [identification(entries, others, calibration, enrolled=enrolled) for enrolled in (1, 3)],
                several_voices(others, of_two, calibration),
            )
        )
    if options.page:
        weights = f"<!-- figures of {options.model} {encoder.revision} -->"
        write_block(options.page, "voices", [weights, *table(*figures)])
    if options.write:
        data = {encoder.voice_fingerprint: rounded(calibration).as_data()}
        options.write.write_text(json.dumps(data) + "\n", encoding="utf-8")


def calibrated(
    entries: Sequence[ManifestEntry], samples: Sequence[VoiceSample], *, data: str, shrinkages: Sequence[float]
) -> VoiceCalibration:
    """Return the calibration by these recordings."""
    return calibrate_voices(
        np.stack([sample.vector for sample in samples]),
        [entry.fields["speaker"] for entry in entries],
        parts=[sample.parts for sample in samples],
        shrinkages=shrinkages,
        data=data,
    )


def rounded(calibration: VoiceCalibration) -> VoiceCalibration:
    """Return the calibration with six digits per number."""
    data = calibration.as_data()
    numbers = {name: float(f"{value:.6g}") for name, value in data.items() if isinstance(value, float)}
    return replace(calibration, **numbers, thresholds=tuple(float(f"{value:.6g}") for value in calibration.thresholds))


def table(without: Figures, normalized: Figures) -> Iterator[str]:
    """Yield the lines of a page's table, and of the paragraph below."""
    yield "| measured | one recording a person: without | with the normalization | three: without | with |"
    yield "|---|---:|---:|---:|---:|"
    for title in without.found[0]:
        cells = (figures.found[number][title] for number in (0, 1) for figures in (without, normalized))
        digits = 1 if "FPIR), at" in title else 0
        yield f"| {title} | " + " | ".join(f"{100 * cell:.{digits}f} %" for cell in cells) + " |"
    (value, low, high), (plain, plain_low, plain_high) = normalized.eer, without.eer
    yield ""
    yield (
        f"Two recordings are compared with an equal error rate of {100 * value:.1f} % (95 % interval {100 * low:.1f} "
        f"to {100 * high:.1f} %); it was {100 * plain:.1f} % ({100 * plain_low:.1f} to {100 * plain_high:.1f} %) "
        f"without the normalization. Enrollment refuses {100 * normalized.refused[1]:.0f} % of the recordings in which "
        f"two people speak one after the other ({100 * without.refused[1]:.0f} % without the normalization), and "
        f"{100 * normalized.refused[0]:.1f} % of those of one voice."
    )


def verification(
    folder: Path, entries: Sequence[ManifestEntry], samples: Sequence[VoiceSample], calibration: VoiceCalibration
) -> tuple[float, float, float]:
    """Print the errors of the trials; return the equal error rate, with its interval."""
    number = {(folder / entry.path).resolve(): i for i, entry in enumerate(entries)}
    lines = [line.split() for line in (folder / "trials.txt").read_text(encoding="utf-8").splitlines()]
    labels = np.array([int(label) for label, *_ in lines])
    pairs = np.array([[number[(folder / path).resolve()] for path in pair] for _, *pair in lines])
    speakers = [(entries[first].fields["speaker"], entries[second].fields["speaker"]) for first, second in pairs]
    units = comparable(np.stack([sample.vector for sample in samples]), calibration)
    scores = (units[pairs[:, 0]] * units[pairs[:, 1]]).sum(-1)
    low, high = speaker_bootstrap(eer, scores, labels, speakers)
    print(f"verification: EER {eer(scores, labels):.1%} [{low:.1%}, {high:.1%}] of {len(labels)} trials")
    accepted = scores >= calibration.threshold
    print(
        f"  at the calibrated threshold: false acceptances {accepted[labels == 0].mean():.1%}, false rejections "
        f"{1 - accepted[labels == 1].mean():.1%}; cost of the likelihood ratio {cllr(scores, labels, calibration):.3f} "
        "bit (1: no information)\n"
    )
    return eer(scores, labels), low, high


def cllr(scores: Floats, labels: npt.NDArray[np.int64], calibration: VoiceCalibration) -> float:
    """Return the mean logarithmic cost of likelihood ratios in bit (Brummer and du Preez 2006)."""
    assert calibration.slope is not None
    assert calibration.offset is not None
    ratios = calibration.slope * scores + calibration.offset
    targets = np.logaddexp(0, -ratios[labels == 1]).mean()
    return float((targets + np.logaddexp(0, ratios[labels == 0]).mean()) / (2 * np.log(2)))


def identification(
    entries: Sequence[ManifestEntry], samples: Sequence[VoiceSample], calibration: VoiceCalibration, *, enrolled: int
) -> dict[str, float]:
    """Print the open-set errors with so many enrolled recordings per person; return those of the page."""
    speakers = np.array([entry.fields["speaker"] for entry in entries])
    names = np.unique(speakers)
    vectors = np.stack([sample.vector for sample in samples])
    generator = np.random.default_rng(0)
    rows = []
    for _ in range(DRAWS):
        order = generator.permutation(names)
        people, probes = [], []
        for name in order[: len(names) // 2]:
            chosen = generator.permutation(np.flatnonzero(speakers == name))
            kept = tuple(EnrolledRecording(str(i), vectors[i], samples[i].speech_seconds, 0) for i in chosen[:enrolled])
            people.append(Person(name, name, kept))
            probes += list(chosen[enrolled:])
        known = KnownVoices(people, calibration)
        limit = known.threshold()
        unknown = np.flatnonzero(np.isin(speakers, order[len(names) // 2 :]))
        best, highest = known.scores(vectors[probes]).argmax(1), known.scores(vectors[probes]).max(1)
        is_right = np.array([person.name for person in people])[best] == speakers[probes]
        others = np.sort(known.scores(vectors[unknown]).max(1))
        row = [is_right.mean(), (others >= limit).mean(), 1 - (is_right & (highest >= limit)).mean()]
        for rate in RATES:
            threshold = others[len(others) - int(rate * len(others)) - 1]  # so many of the unknown are above it
            row.append(1 - (is_right & (highest > threshold)).mean())
        rows.append(row)
    right, positive, negative, *at = np.mean(rows, axis=0)
    print(f"identification, {len(names) // 2} enrolled with {enrolled} recording(s), {DRAWS} draws:")
    print(f"  the most similar enrolled person is the right one: {right:.1%}")
    print(f"  at the calibrated threshold: FPIR {positive:.1%}, FNIR {negative:.1%}")
    print("  " + ", ".join(f"FNIR {miss:.1%} at FPIR {rate:.0%}" for rate, miss in zip(RATES, at, strict=True)) + "\n")
    return {
        f"the most similar of {len(names) // 2} enrolled people is the right one": right,
        "unknown voices taken for an enrolled person (FPIR), at the calibrated threshold": positive,
        "enrolled voices not found (FNIR), at the calibrated threshold": negative,
        "FNIR at an FPIR of 5 %": at[RATES.index(0.05)],
    }


def mixtures(entries: Sequence[ManifestEntry]) -> list[Floats]:
    """Return recordings in which two people speak one after the other."""
    generator = np.random.default_rng(0)
    mixed: list[Floats] = []
    while len(mixed) < MIXED:
        one, other = generator.choice(len(entries), 2, replace=False)
        if entries[one].fields["speaker"] != entries[other].fields["speaker"]:
            mixed.append(np.concatenate([read(entries[one].path), read(entries[other].path)]))
    return mixed


def several_voices(
    of_one: Sequence[VoiceSample], of_two: Sequence[VoiceSample], calibration: VoiceCalibration
) -> tuple[float, float]:
    """Print and return the share of recordings of one and of two voices that enrollment refuses as of several."""
    least = calibration.least_unity
    assert least is not None

    shares = []
    for what, samples in (("one voice", of_one), ("two, one after the other", of_two)):
        judged = [value for sample in samples if (value := sample.unity(calibration)) is not None]
        shares.append(float(np.mean([value < least for value in judged])))
        print(f"refused as of several voices, {what}: {shares[-1]:.1%} of {len(judged)} (of {len(samples)} recordings)")
    print()
    return shares[0], shares[1]


if __name__ == "__main__":
    main()
