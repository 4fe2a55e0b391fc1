"""The models that sonant knows by name: one literal table.

A row is a model as it lies on the hub. What it says of data, licence and sizes was read in the authors' READMEs, the
hub's cards and torchaudio's pages; `parameters` are counted from the configuration by a test.
"""

from dataclasses import dataclass, replace
from typing import Literal

from sonant.errors import UnknownName
from sonant.models import hubert, wav2vec2, wavlm
from sonant.models.backbone import BackboneConfig
from sonant.models.published_results import Result, results_of

Family = Literal["WavLM", "HuBERT", "wav2vec 2.0"]
Task = Literal["speaker", "content", "emotion", "semantic"]
Pool = Literal["mean", "max", "mean+std"]


@dataclass(frozen=True)
class Preset:
    """Where to take the vectors for a task.

    Attributes:
        layer: number of the hidden state.
        pool: how to make one vector of a recording; None keeps the frames.
        why: the source of the choice.
    """

    layer: int
    pool: Pool | None
    why: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """One model.

    Attributes:
        name: id on the hub.
        title: as its authors call it.
        config: its shape; the waveform normalisation and the frame rate follow from it.
        parameters: of the encoder with its mask embedding, without any head.
        data: what it was pretrained on.
        hours: of speech in that.
        languages: in that speech.
        labels: what it was fine-tuned on, for models that were.
        pretrained: id of the model that it was fine-tuned from.
        licence: of the weights.
        paper: its title and address.
        shipped: whether its weights come with sonant; the others come from the hub.
        notes: what a user should know besides.
    """

    name: str
    title: str
    config: BackboneConfig
    parameters: int
    data: str
    hours: int
    languages: str
    labels: str | None = None
    pretrained: str | None = None
    licence: str
    paper: tuple[str, str]
    shipped: bool = False
    notes: tuple[str, ...] = ()

    @property
    def short_name(self) -> str:
        """The name without the organisation."""
        return self.name.rpartition("/")[2]

    @property
    def family(self) -> Family:
        return family_of(self.config)

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.config.sampling_rate / self.config.stride

    @property
    def results(self) -> tuple[Result, ...]:
        """What others measured."""
        return results_of(self.short_name)

    @property
    def presets(self) -> dict[Task, Preset]:
        return presets(self.config)


def find(name: str) -> Card:
    """The card of a model, by its id or its name without the organisation; UnknownName suggests near ones."""
    wanted = name.lower()
    for card in CATALOG.values():
        if wanted in (card.name.lower(), card.short_name.lower()):
            return card
    raise UnknownName("model", name, list(CATALOG) if "/" in name else [card.short_name for card in CATALOG.values()])


def family_of(config: BackboneConfig) -> Family:
    """The family that a configuration belongs to."""
    match config:
        case wavlm.WavLMConfig():
            return "WavLM"
        case hubert.HuBERTConfig():
            return "HuBERT"
        case wav2vec2.Wav2Vec2Config():
            return "wav2vec 2.0"
    raise UnknownName("family with the configuration", type(config).__name__, FAMILIES)


def presets(config: BackboneConfig) -> dict[Task, Preset]:
    """Layer and pooling for each task, for any model of a known family, listed in the catalogue or not."""
    return {
        task: Preset(max(1, round(share * config.num_layers)), pool, why)
        for task, (share, pool, why) in PRESETS[family_of(config)].items()
    }


FAMILIES: dict[str, Family] = {"wavlm": "WavLM", "hubert": "HuBERT", "wav2vec2": "wav2vec 2.0"}  # as users type them

# (depth as a share of the layers, pooling, why). None of these layers was chosen by a measurement of ours yet.
_PREDICTING: dict[Task, tuple[float, Pool | None, str]] = {
    "speaker": (
        1 / 4,
        "mean",
        "voices show in the lower layers (WavLM paper); kNN-VC compares layer 6 of WavLM Large's 24",
    ),
    "content": (3 / 4, None, "where HuBERT's authors took the targets of their large models: layer 9 of 12"),
    "emotion": (1 / 2, "mean", "our choice: the middle, between voice and words"),
    "semantic": (5 / 6, "mean", "our choice: words and meaning stay high up to the top layers (Pasad et al. 2023)"),
}
PRESETS: dict[Family, dict[Task, tuple[float, Pool | None, str]]] = {
    "WavLM": _PREDICTING,
    "HuBERT": _PREDICTING,
    "wav2vec 2.0": {
        "speaker": (1 / 4, "mean", "our choice, as for the other families"),
        "content": (2 / 3, None, "our choice: the top layers turn back towards the input (Pasad et al. 2021)"),
        "emotion": (1 / 2, "mean", "our choice: the middle, between voice and words"),
        "semantic": (2 / 3, "mean", "our choice: the top layers turn back towards the input (Pasad et al. 2021)"),
    },
}

WAVLM_PAPER = (
    "WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech Processing",
    "https://arxiv.org/abs/2110.13900",
)
HUBERT_PAPER = (
    "HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units",
    "https://arxiv.org/abs/2106.07447",
)
WAV2VEC2_PAPER = (
    "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations",
    "https://arxiv.org/abs/2006.11477",
)
SELF_TRAINING_PAPER = (
    "Self-training and Pre-training are Complementary for Speech Recognition",
    "https://arxiv.org/abs/2010.11430",
)
XLSR_PAPER = (
    "Unsupervised Cross-lingual Representation Learning for Speech Recognition",
    "https://arxiv.org/abs/2006.13979",
)
XLS_R_PAPER = (
    "XLS-R: Self-supervised Cross-lingual Speech Representation Learning at Scale",
    "https://arxiv.org/abs/2111.09296",
)

MICROSOFT = "CC BY-SA 3.0 (the licence that the hub's card links to); the authors' code is MIT"
META = "Apache-2.0 on the hub, MIT from the authors"
MIX_94K = "Libri-Light 60,000 h, GigaSpeech 10,000 h, VoxPopuli 24,000 h"
LIBRI_LIGHT = "Libri-Light"
LETTERS_960 = "LibriSpeech 960 h, letters with CTC"
XLS_R_DATA = "VoxPopuli, Multilingual LibriSpeech, Common Voice, VoxLingua107, BABEL"
HUB_NORMALISES = (
    "The authors trained it on waveforms as they are; the hub's preprocessor asks for normalised ones. "
    "sonant goes by the file that it loads."
)
HUB_BIASES = (
    "The file on the hub has biases in its convolutions, which the authors' own training configuration does not; "
    "sonant goes by what the file holds."
)

ROWS = (
    Card(
        name="sonant/wavlm-tiny",
        title="WavLM Tiny",
        config=wavlm.TINY,
        parameters=6_858_400,
        data="parts of LibriSpeech, speechocean762, LJ Speech, LibriVox and Rhasspy's voices",
        hours=9,
        languages="mostly English",
        licence="Apache-2.0",
        paper=WAVLM_PAPER,
        shipped=True,
        notes=(
            "Pretrained by sonant's own recipe, wavlm_tiny, for demonstrations and tests; the large models know more.",
            "LibriSpeech test-clean is among its training data: measure it elsewhere.",
        ),
    ),
    Card(
        name="microsoft/wavlm-base",
        title="WavLM Base",
        config=wavlm.WavLMConfig(),
        parameters=94_381_936,
        data="LibriSpeech",
        hours=960,
        languages="English",
        licence=MICROSOFT,
        paper=WAVLM_PAPER,
    ),
    Card(
        name="microsoft/wavlm-base-plus",
        title="WavLM Base+",
        config=wavlm.WavLMConfig(),
        parameters=94_381_936,
        data=MIX_94K,
        hours=94_000,
        languages="English",
        licence=MICROSOFT,
        paper=WAVLM_PAPER,
    ),
    Card(
        name="microsoft/wavlm-large",
        title="WavLM Large",
        config=wavlm.LARGE,
        parameters=315_453_120,
        data=MIX_94K,
        hours=94_000,
        languages="English",
        licence=MICROSOFT,
        paper=WAVLM_PAPER,
        notes=("The released verification back-end does not reach the paper's error rates; both are listed.",),
    ),
    Card(
        name="facebook/hubert-base-ls960",
        title="HuBERT Base",
        config=hubert.HuBERTConfig(),
        parameters=94_371_712,
        data="LibriSpeech",
        hours=960,
        languages="English",
        licence=META,
        paper=HUBERT_PAPER,
    ),
    Card(
        name="facebook/hubert-large-ll60k",
        title="HuBERT Large",
        config=replace(hubert.LARGE, conv_bias=True),
        parameters=315_438_720,
        data=LIBRI_LIGHT,
        hours=60_000,
        languages="English",
        licence=META,
        paper=HUBERT_PAPER,
        notes=(HUB_BIASES,),
    ),
    Card(
        name="facebook/hubert-xlarge-ll60k",
        title="HuBERT Extra Large",
        config=replace(hubert.XLARGE, conv_bias=True),
        parameters=962_497_408,
        data=LIBRI_LIGHT,
        hours=60_000,
        languages="English",
        licence=META,
        paper=HUBERT_PAPER,
        notes=(HUB_BIASES,),
    ),
    Card(
        name="facebook/hubert-large-ls960-ft",
        title="HuBERT Large, fine-tuned",
        config=replace(hubert.LARGE, conv_bias=True),
        parameters=315_438_720,
        data=LIBRI_LIGHT,
        hours=60_000,
        languages="English",
        labels=LETTERS_960,
        pretrained="facebook/hubert-large-ll60k",
        licence=META,
        paper=HUBERT_PAPER,
        notes=(HUB_BIASES,),
    ),
    Card(
        name="facebook/hubert-xlarge-ls960-ft",
        title="HuBERT Extra Large, fine-tuned",
        config=replace(hubert.XLARGE, conv_bias=True),
        parameters=962_497_408,
        data=LIBRI_LIGHT,
        hours=60_000,
        languages="English",
        labels=LETTERS_960,
        pretrained="facebook/hubert-xlarge-ll60k",
        licence=META,
        paper=HUBERT_PAPER,
        notes=(HUB_BIASES,),
    ),
    Card(
        name="facebook/wav2vec2-base",
        title="wav2vec 2.0 Base",
        config=wav2vec2.Wav2Vec2Config(),
        parameters=94_371_712,
        data="LibriSpeech",
        hours=960,
        languages="English",
        licence=META,
        paper=WAV2VEC2_PAPER,
        notes=(HUB_NORMALISES,),
    ),
    Card(
        name="facebook/wav2vec2-base-960h",
        title="wav2vec 2.0 Base, fine-tuned",
        config=wav2vec2.Wav2Vec2Config(),
        parameters=94_371_712,
        data="LibriSpeech",
        hours=960,
        languages="English",
        labels=LETTERS_960,
        pretrained="facebook/wav2vec2-base",
        licence=META,
        paper=WAV2VEC2_PAPER,
        notes=(HUB_NORMALISES,),
    ),
    Card(
        name="facebook/wav2vec2-large",
        title="wav2vec 2.0 Large (LibriSpeech)",
        config=wav2vec2.LARGE_LS960,
        parameters=315_428_992,
        data="LibriSpeech",
        hours=960,
        languages="English",
        licence=META,
        paper=WAV2VEC2_PAPER,
        notes=(HUB_NORMALISES,),
    ),
    Card(
        name="facebook/wav2vec2-large-960h",
        title="wav2vec 2.0 Large (LibriSpeech), fine-tuned",
        config=wav2vec2.LARGE_LS960,
        parameters=315_428_992,
        data="LibriSpeech",
        hours=960,
        languages="English",
        labels=LETTERS_960,
        pretrained="facebook/wav2vec2-large",
        licence=META,
        paper=WAV2VEC2_PAPER,
        notes=(HUB_NORMALISES,),
    ),
    Card(
        name="facebook/wav2vec2-large-lv60",
        title="wav2vec 2.0 Large (LV-60k)",
        config=wav2vec2.LARGE_LV60,
        parameters=315_438_720,
        data=LIBRI_LIGHT,
        hours=53_000,
        languages="English",
        licence=META,
        paper=WAV2VEC2_PAPER,
    ),
    Card(
        name="facebook/wav2vec2-large-960h-lv60-self",
        title="wav2vec 2.0 Large (LV-60k), self-trained and fine-tuned",
        config=wav2vec2.LARGE_LV60,
        parameters=315_438_720,
        data=LIBRI_LIGHT,
        hours=53_000,
        languages="English",
        labels=LETTERS_960 + ", and its own transcripts of Libri-Light",
        pretrained="facebook/wav2vec2-large-lv60",
        licence=META,
        paper=SELF_TRAINING_PAPER,
    ),
    Card(
        name="facebook/wav2vec2-large-xlsr-53",
        title="XLSR-53",
        config=wav2vec2.LARGE_LV60,
        parameters=315_438_720,
        data="Multilingual LibriSpeech, Common Voice, BABEL",
        hours=56_000,
        languages="53 languages",
        licence=META,
        paper=XLSR_PAPER,
    ),
    Card(
        name="facebook/wav2vec2-xls-r-300m",
        title="XLS-R 300M",
        config=wav2vec2.XLS_R_300M,
        parameters=315_438_720,
        data=XLS_R_DATA,
        hours=436_000,
        languages="128 languages",
        licence=META,
        paper=XLS_R_PAPER,
    ),
    Card(
        name="facebook/wav2vec2-xls-r-1b",
        title="XLS-R 1B",
        config=wav2vec2.XLS_R_1B,
        parameters=962_497_408,
        data=XLS_R_DATA,
        hours=436_000,
        languages="128 languages",
        licence=META,
        paper=XLS_R_PAPER,
    ),
    Card(
        name="facebook/wav2vec2-xls-r-2b",
        title="XLS-R 2B",
        config=wav2vec2.XLS_R_2B,
        parameters=2_159_259_648,
        data=XLS_R_DATA,
        hours=436_000,
        languages="128 languages",
        licence=META,
        paper=XLS_R_PAPER,
    ),
)
CATALOG: dict[str, Card] = {card.name: card for card in ROWS}
