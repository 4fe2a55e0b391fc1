"""Results that others have published for their models, one literal table a benchmark.

Only numbers that were read where they were published stand here; nothing is filled in from memory. Names are those of
`catalog`, without the organization.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One row of a published table.

    Attributes:
        benchmark: its name.
        condition: the use of the model.
        scores: metric to value, in the benchmark's own units.
        source: the publication that the numbers were read from.
    """

    benchmark: str
    condition: str
    scores: Mapping[str, float]
    source: str


WAVLM_README = "WavLM's README, github.com/microsoft/unilm/tree/master/wavlm"
UNISPEECH_README = "UniSpeech's README, github.com/microsoft/UniSpeech"
HUB_CARD = "the model's card on the hub"
WAV2VEC_PAPER = "the wav2vec paper, arXiv 1904.05862"
VQ_WAV2VEC_PAPER = "the vq-wav2vec paper, arXiv 1910.05453"
DISCRETE_BERT_PAPER = "arXiv 1911.03912; that its pretraining is this checkpoint's: fairseq issue 3088"
W2V_BERT2_VERIFICATION = "arXiv 2510.04213"
WAV2VEC2_PAPER = "the wav2vec 2.0 paper, arXiv 2006.11477"
HUBERT_PAPER = "the HuBERT paper, arXiv 2106.07447"

# Percent, but QbE. PER, WER, EER, DER and CER: lower is better. ASR without language model.
SUPERB_METRICS = (
    "PR PER", "ASR WER", "KS acc", "IC acc", "SID acc", "ER acc", "ASV EER", "SD DER", "QbE MTWV", "SF F1", "SF CER",
)  # fmt: skip
SUPERB = {
    "wav2vec_large": (31.58, 15.86, 95.59, 84.92, 56.56, 59.79, 7.99, 9.9, 0.0485, 76.37, 43.71),
    "vq-wav2vec": (33.48, 17.71, 93.38, 85.68, 38.80, 58.24, 10.38, 9.93, 0.0410, 77.68, 41.54),
    "wav2vec2-base": (5.74, 6.43, 96.23, 92.35, 75.18, 63.43, 6.02, 6.08, 0.0233, 88.30, 24.77),
    "hubert-base-ls960": (5.41, 6.42, 96.30, 98.34, 81.42, 64.92, 5.11, 5.88, 0.0736, 88.53, 25.20),
    "wavlm-base": (4.84, 6.21, 96.79, 98.63, 84.51, 65.94, 4.69, 4.83, 0.0870, 89.38, 22.86),
    "wavlm-base-plus": (4.07, 5.64, 96.69, 99.16, 86.84, 67.98, 4.26, 4.07, 0.0990, 89.73, 21.54),
    "wav2vec2-large-lv60": (4.75, 3.75, 96.66, 95.28, 86.14, 65.64, 5.65, 5.62, 0.0489, 87.11, 27.31),
    "hubert-large-ll60k": (3.53, 3.62, 95.29, 98.76, 90.33, 67.62, 5.98, 5.75, 0.0353, 89.81, 21.76),
    "wavlm-large": (3.09, 3.51, 97.40, 99.10, 95.25, 70.03, 4.04, 3.47, 0.0827, 92.25, 17.61),
}

# Log-mel energies with deltas, normalized by recording, in place of a model, in the same figure.
SUPERB_FBANK = (82.01, 23.18, 8.63, 9.10, 8.5e-4, 35.39, 9.56, 10.05, 0.0058, 69.64, 52.94)

# (labeled speech, language model): WER on test-clean and test-other of the model fine-tuned on that much with CTC.
LABELED, LANGUAGE_MODELS = ("10 min", "1 h", "10 h", "100 h", "960 h"), ("none", "4-gram", "Transformer")
LIBRISPEECH = {
    "bert_kmeans": {
        ("10 min", "4-gram"): (16.3, 25.2),
        ("1 h", "4-gram"): (9.0, 17.6),
        ("10 h", "4-gram"): (5.9, 14.1),
        ("100 h", "4-gram"): (4.5, 12.1),
    },
    "wav2vec2-base": {
        ("10 min", "none"): (46.9, 50.9),
        ("10 min", "4-gram"): (9.1, 15.6),
        ("10 min", "Transformer"): (6.9, 12.9),
        ("1 h", "none"): (24.5, 29.7),
        ("1 h", "4-gram"): (5.5, 11.3),
        ("1 h", "Transformer"): (4.0, 9.3),
        ("10 h", "none"): (11.1, 17.6),
        ("10 h", "4-gram"): (4.3, 9.5),
        ("10 h", "Transformer"): (3.2, 7.8),
        ("100 h", "none"): (6.1, 13.3),
        ("100 h", "4-gram"): (3.4, 8.0),
        ("100 h", "Transformer"): (2.6, 6.3),
        ("960 h", "none"): (3.4, 8.5),
        ("960 h", "4-gram"): (2.6, 6.1),
        ("960 h", "Transformer"): (2.1, 4.8),
    },
    "wav2vec2-large": {
        ("10 min", "none"): (43.5, 45.3),
        ("10 min", "4-gram"): (8.9, 13.1),
        ("10 min", "Transformer"): (6.8, 10.8),
        ("1 h", "none"): (22.1, 25.3),
        ("1 h", "4-gram"): (5.1, 9.4),
        ("1 h", "Transformer"): (3.9, 7.6),
        ("10 h", "none"): (8.0, 12.1),
        ("10 h", "4-gram"): (3.8, 7.3),
        ("10 h", "Transformer"): (3.2, 6.1),
        ("100 h", "none"): (4.7, 9.0),
        ("100 h", "4-gram"): (2.8, 6.0),
        ("100 h", "Transformer"): (2.3, 5.0),
        ("960 h", "none"): (2.8, 6.3),
        ("960 h", "4-gram"): (2.3, 5.0),
        ("960 h", "Transformer"): (2.0, 4.1),
    },
    "wav2vec2-large-lv60": {
        ("10 min", "none"): (40.2, 38.7),
        ("10 min", "4-gram"): (6.6, 10.3),
        ("10 min", "Transformer"): (4.8, 8.2),
        ("1 h", "none"): (17.2, 20.3),
        ("1 h", "4-gram"): (3.8, 7.1),
        ("1 h", "Transformer"): (2.9, 5.8),
        ("10 h", "none"): (6.3, 10.0),
        ("10 h", "4-gram"): (3.0, 5.8),
        ("10 h", "Transformer"): (2.6, 4.9),
        ("100 h", "none"): (3.1, 6.3),
        ("100 h", "4-gram"): (2.3, 4.6),
        ("100 h", "Transformer"): (2.0, 4.0),
        ("960 h", "none"): (2.2, 4.5),
        ("960 h", "4-gram"): (2.0, 3.6),
        ("960 h", "Transformer"): (1.8, 3.3),
    },
    "hubert-base-ls960": {
        ("1 h", "none"): (20.9, 27.5),
        ("1 h", "4-gram"): (6.1, 11.3),
        ("10 h", "none"): (10.1, 16.8),
        ("10 h", "4-gram"): (4.3, 9.4),
        ("100 h", "none"): (6.3, 13.2),
        ("100 h", "4-gram"): (3.4, 8.1),
    },
    "hubert-large-ll60k": {
        ("1 h", "none"): (17.4, 20.3),
        ("1 h", "Transformer"): (2.9, 5.4),
        ("10 h", "none"): (6.2, 9.6),
        ("10 h", "Transformer"): (2.4, 4.6),
        ("100 h", "none"): (2.9, 6.0),
        ("100 h", "Transformer"): (2.1, 3.9),
        ("960 h", "none"): (2.1, 4.3),
        ("960 h", "Transformer"): (1.9, 3.3),
    },
    "hubert-xlarge-ll60k": {
        ("10 min", "Transformer"): (4.6, 6.8),
        ("1 h", "Transformer"): (2.8, 4.8),
        ("10 h", "Transformer"): (2.3, 4.0),
        ("100 h", "Transformer"): (1.9, 3.5),
        ("960 h", "Transformer"): (1.8, 2.9),
    },
    "wavlm-base": {
        ("1 h", "none"): (24.5, 29.2),
        ("1 h", "4-gram"): (5.7, 10.8),
        ("10 h", "none"): (9.8, 16.0),
        ("10 h", "4-gram"): (4.3, 9.2),
        ("100 h", "none"): (5.7, 12.0),
        ("100 h", "4-gram"): (3.4, 7.7),
    },
    "wavlm-base-plus": {
        ("1 h", "none"): (22.8, 26.7),
        ("1 h", "4-gram"): (5.4, 9.8),
        ("10 h", "none"): (9.0, 14.7),
        ("10 h", "4-gram"): (4.2, 8.8),
        ("100 h", "none"): (4.6, 10.1),
        ("100 h", "4-gram"): (2.9, 6.8),
    },
    "wavlm-large": {
        ("1 h", "4-gram"): (3.8, 6.6),
        ("1 h", "Transformer"): (2.9, 5.1),
        ("10 h", "4-gram"): (2.9, 5.5),
        ("10 h", "Transformer"): (2.4, 4.6),
        ("100 h", "4-gram"): (2.3, 4.6),
        ("100 h", "Transformer"): (2.1, 4.0),
    },
}

LIBRISPEECH_SOURCES = {
    "bert_kmeans": DISCRETE_BERT_PAPER,
    "wav2vec2-base": WAV2VEC2_PAPER,
    "wav2vec2-large": WAV2VEC2_PAPER,
    "wav2vec2-large-lv60": WAV2VEC2_PAPER,
    "hubert-base-ls960": WAVLM_README,
    "hubert-large-ll60k": WAVLM_README,
    "hubert-xlarge-ll60k": HUBERT_PAPER,
    "wavlm-base": WAVLM_README,
    "wavlm-base-plus": WAVLM_README,
    "wavlm-large": WAVLM_README,
}

# The same for fine-tuned checkpoints themselves, as their cards on the hub give it: greedy, no language model.
LIBRISPEECH_OF_CHECKPOINTS = {
    "wav2vec2-base-960h": {"test-clean": 3.4, "test-other": 8.6},
    "wav2vec2-large-960h-lv60": {"test-clean": 2.2},
    "wav2vec2-large-960h-lv60-self": {"test-clean": 1.9, "test-other": 3.9},
    "wav2vec2-conformer-rel-pos-large-960h-ft": {"test-clean": 1.85, "test-other": 3.83},
    "wav2vec2-conformer-rope-large-960h-ft": {"test-clean": 1.96, "test-other": 3.98},
    "hubert-large-ls960-ft": {"test-clean": 1.9},
}

# Equal error rate in percent on the trials O, E, H of VoxCeleb1: ECAPA-TDNN on the layers' weighted sum.
VOXCELEB1: dict[str, tuple[tuple[str, tuple[float | None, ...], str], ...]] = {
    "hubert-large-ll60k": (
        ("frozen", (0.888, 0.912, 1.853), WAVLM_README),
        ("fine-tuned, large margin, calibrated", (0.585, 0.654, 1.342), WAVLM_README),
    ),
    "wav2vec2-large-xlsr-53": (
        ("frozen", (0.915, 0.945, 1.895), WAVLM_README),
        ("fine-tuned, large margin, calibrated", (0.564, 0.605, 1.23), WAVLM_README),
    ),
    "w2v-bert-2.0": (("fine-tuned with low-rank adapters, MFA back-end", (0.12, None, 0.55), W2V_BERT2_VERIFICATION),),
    "wavlm-base-plus": (("frozen", (0.84, 0.928, 1.758), UNISPEECH_README),),
    "wavlm-large": (
        ("frozen", (0.59, 0.65, 1.328), WAVLM_README),
        ("frozen, the released back-end", (0.75, 0.764, 1.548), UNISPEECH_README),
        ("fine-tuned", (0.505, 0.579, 1.176), WAVLM_README),
        ("fine-tuned, the released back-end", (0.431, 0.538, 1.154), UNISPEECH_README),
        ("fine-tuned, large margin, calibrated", (0.33, 0.477, 0.984), WAVLM_README),
    ),
}

# WER in percent after continuous separation, by the overlap of the speakers.
LIBRICSS_METRICS = ("0S", "0L", "OV10", "OV20", "OV30", "OV40")
LIBRICSS = {
    "hubert-base-ls960": (4.7, 4.6, 6.1, 7.9, 10.6, 12.3),
    "wavlm-base-plus": (4.5, 4.4, 5.6, 7.5, 9.4, 10.9),
    "wavlm-large": (4.2, 4.1, 4.8, 5.8, 7.4, 8.5),
}

# Diarization error rate in percent, by the number of speakers.
CALLHOME_METRICS = ("2 spk", "3 spk", "4 spk", "5 spk", "6 spk", "all")
CALLHOME = {
    "hubert-base-ls960": (7.93, 12.07, 15.21, 19.59, 23.32, 12.63),
    "hubert-large-ll60k": (7.39, 11.97, 15.76, 19.82, 22.10, 12.40),
    "wavlm-base": (6.99, 11.12, 15.20, 16.48, 21.61, 11.75),
    "wavlm-large": (6.46, 10.69, 11.84, 12.89, 20.70, 10.35),
}


# Vectors of these models fed into an acoustic model, WER on nov92 without and with language models.
WSJ_METRICS = ("no LM", "4-gram", "char ConvLM")
WSJ = {
    "wav2vec_large": ("its frames instead of log-mel", (11.20, 4.32, 2.43), WAV2VEC_PAPER),
    "vq-wav2vec": ("its codes into a BERT Base of the authors", (9.39, 3.62, 2.34), VQ_WAV2VEC_PAPER),
}

# Phone error rate on the test set.
TIMIT = {
    "wav2vec_large": ("its frames instead of log-mel", 14.7, WAV2VEC_PAPER),
    "vq-wav2vec": ("its codes into a small BERT of the authors", 11.64, VQ_WAV2VEC_PAPER),
    "vq-wav2vec_kmeans": ("its codes into a small BERT of the authors", 11.40, VQ_WAV2VEC_PAPER),
}

BENCHMARKS = (
    "SUPERB", "LibriSpeech WER", "WSJ WER", "TIMIT PER", "VoxCeleb1 EER", "LibriCSS WER", "CALLHOME DER",
)  # fmt: skip


def higher_is_better(metric: str) -> bool:
    """Return whether a larger score is better: true of accuracies, F1 and MTWV; every other metric is an error rate."""
    return metric.endswith(("acc", "F1", "MTWV"))


def place_of(condition: str) -> int:
    """Return a condition's place in its benchmark, by labeled speech and language model; -1 for any other."""
    names = [_fine_tuned(labels, model) for labels in LABELED for model in LANGUAGE_MODELS]
    return names.index(condition) if condition in names else -1


def results_of(name: str) -> tuple[Result, ...]:
    """Every published result of a model (its name without the organization); none for a name in no table."""
    return tuple(_rows(name))


def _rows(name: str) -> Iterator[Result]:
    if name in SUPERB:
        scores = dict(zip(SUPERB_METRICS, SUPERB[name], strict=True))
        yield Result("SUPERB", "frozen, weighted sum of layers", scores, WAVLM_README)
    if name in LIBRISPEECH_OF_CHECKPOINTS:
        yield Result("LibriSpeech WER", "this checkpoint", LIBRISPEECH_OF_CHECKPOINTS[name], HUB_CARD)
    for (labels, language_model), (clean, other) in LIBRISPEECH.get(name, {}).items():
        scores = {"test-clean": clean, "test-other": other}
        yield Result("LibriSpeech WER", _fine_tuned(labels, language_model), scores, LIBRISPEECH_SOURCES[name])
    if name in WSJ:
        condition, rates, source = WSJ[name]
        yield Result("WSJ WER", condition, dict(zip(WSJ_METRICS, rates, strict=True)), source)
    if name in TIMIT:
        condition, rate, source = TIMIT[name]
        yield Result("TIMIT PER", condition, {"test": rate}, source)
    for condition, errors, source in VOXCELEB1.get(name, ()):
        known = {trials: error for trials, error in zip("OEH", errors, strict=True) if error is not None}
        yield Result("VoxCeleb1 EER", condition, known, source)
    if name in LIBRICSS:
        scores = dict(zip(LIBRICSS_METRICS, LIBRICSS[name], strict=True))
        yield Result("LibriCSS WER", "continuous separation", scores, WAVLM_README)
    if name in CALLHOME:
        scores = dict(zip(CALLHOME_METRICS, CALLHOME[name], strict=True))
        yield Result("CALLHOME DER", "diarization", scores, WAVLM_README)


def _fine_tuned(labels: str, language_model: str) -> str:
    return f"fine-tuned on {labels}, {'no' if language_model == 'none' else language_model} language model"
