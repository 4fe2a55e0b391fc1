"""The catalog: a literal table of the models that are known by name.

A row is a model on the hub, or a file offered for download by its authors. Data, license and sizes are from READMEs of
the authors, model cards of the hub and pages of torchaudio; a test counts `parameters` from the configuration.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from sonant.errors import UnknownName
from sonant.models import (
    data2vec,
    discrete_bert,
    hubert,
    sew,
    unispeech,
    vq_wav2vec,
    w2v_bert2,
    wav2vec,
    wav2vec2,
    wav2vec2_conformer,
    wavlm,
)
from sonant.models.abilities import ABILITIES, Ability
from sonant.models.backbone import BackboneConfig
from sonant.models.families import TITLES, Preset, Task, family_of, presets
from sonant.models.published_results import Result, results_of


@dataclass(frozen=True, kw_only=True)
class Card:
    """The catalog entry of one model.

    Attributes:
        name: id on the hub; of a file outside of the hub, "fairseq/" and its name without ending, or "fairseq2/" and
            the name of its asset card.
        title: name given by the authors.
        config: configuration, including waveform normalization and frame rate.
        parameters: number of parameters of the encoder with mask embedding, without heads.
        data: pretraining data.
        hours: hours of speech in that data; None if unknown.
        languages: languages of that speech.
        labels: labeled data for fine-tuning, if any.
        pretrained: id of the model that it was fine-tuned from.
        license: license of the weights.
        paper: title and address.
        shipped: whether the weights are part of the package.
        address: URL of the file, for models outside of the hub.
        beside: URL of the token file, which must be in the same folder.
        notes: further remarks for users.
    """

    name: str
    title: str
    config: BackboneConfig
    parameters: int
    data: str
    hours: int | None = None
    languages: str = "English"
    labels: str | None = None
    pretrained: str | None = None
    license: str
    paper: tuple[str, str]
    shipped: bool = False
    address: str | None = None
    beside: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def short_name(self) -> str:
        """Name without organization."""
        return self.name.rpartition("/")[2]

    @property
    def family(self) -> str:
        """Title of the family."""
        return family_of(self.config).title

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.config.sampling_rate / self.config.stride

    @property
    def abilities(self) -> tuple[Ability, ...]:
        """Abilities of the model: embeddings, and those of its heads."""
        taught = {ability for ability, labels in TAUGHT_BY.items() if labels in (self.labels or "")}
        return tuple(ability for ability in ABILITIES if ability == "embeddings" or ability in taught)

    @property
    def results(self) -> tuple[Result, ...]:
        """Published results of the model."""
        return results_of(self.short_name)

    @property
    def presets(self) -> dict[Task, Preset]:
        return presets(self.config)


def find(name: str) -> Card:
    """Return the card of a model by id, or by name without organization. Raises UnknownName with suggestions."""
    wanted = name.lower()
    for card in CATALOG.values():
        if wanted in (card.name.lower(), card.short_name.lower()):
            return card
    names = list(CATALOG) if "/" in name else [card.short_name for card in CATALOG.values()]
    raise UnknownName("model", name, names, listed="`sonant models` lists them.")


def _arxiv(number: str, title: str) -> tuple[str, str]:
    return title, f"https://arxiv.org/abs/{number}"


WAV2VEC_PAPER = _arxiv("1904.05862", "wav2vec: Unsupervised Pre-training for Speech Recognition")
VQ_WAV2VEC_PAPER = _arxiv("1910.05453", "vq-wav2vec: Self-Supervised Learning of Discrete Speech Representations")
WAVLM_PAPER = _arxiv("2110.13900", "WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech Processing")
HUBERT_PAPER = _arxiv(
    "2106.07447", "HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units"
)
DISTILHUBERT_PAPER = _arxiv(
    "2110.01900", "DistilHuBERT: Speech Representation Learning by Layer-wise Distillation of Hidden-unit BERT"
)
TWIST_PAPER = _arxiv("2305.13009", "Textually Pretrained Speech Language Models")
WAV2VEC2_PAPER = _arxiv("2006.11477", "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations")
SELF_TRAINING_PAPER = _arxiv("2010.11430", "Self-training and Pre-training are Complementary for Speech Recognition")
XLSR_PAPER = _arxiv("2006.13979", "Unsupervised Cross-lingual Representation Learning for Speech Recognition")
XLS_R_PAPER = _arxiv("2111.09296", "XLS-R: Self-supervised Cross-lingual Speech Representation Learning at Scale")

ROBUST_PAPER = _arxiv("2104.01027", "Robust wav2vec 2.0: Analyzing Domain Shift in Self-Supervised Pre-Training")
ZERO_SHOT_PAPER = _arxiv("2109.11680", "Simple and Effective Zero-shot Cross-lingual Phoneme Recognition")
VOXPOPULI_PAPER = _arxiv("2101.00390", "VoxPopuli: A Large-Scale Multilingual Speech Corpus")
MMS_PAPER = _arxiv("2305.13516", "Scaling Speech Technology to 1,000+ Languages")

CONFORMER_PAPER = _arxiv("2010.05171", "fairseq S2T: Fast Speech-to-Text Modeling with fairseq")
DATA2VEC_PAPER = _arxiv(
    "2202.03555", "data2vec: A General Framework for Self-supervised Learning in Speech, Vision and Language"
)
UNISPEECH_PAPER = _arxiv(
    "2101.07597", "UniSpeech: Unified Speech Representation Learning with Labeled and Unlabeled Data"
)
UNISPEECH_SAT_PAPER = _arxiv(
    "2110.05752", "UniSpeech-SAT: Universal Speech Representation Learning with Speaker Aware Pre-Training"
)
OMNILINGUAL_PAPER = _arxiv(
    "2511.09690", "Omnilingual ASR: Open-Source Multilingual Speech Recognition for 1600+ Languages"
)
SEW_PAPER = _arxiv(
    "2109.06870", "Performance-Efficiency Trade-offs in Unsupervised Pre-training for Speech Recognition"
)
SEAMLESS_PAPER = _arxiv("2312.05187", "Seamless: Multilingual Expressive and Streaming Speech Translation")

MICROSOFT = "CC BY-SA 3.0 (the license that the hub's card links to); the authors' code is MIT"
META = "Apache-2.0 on the hub, MIT from the authors"
ASAPP = "Apache-2.0 on the hub, MIT from the authors"
MIT = "MIT"
APACHE = "Apache-2.0"
NON_COMMERCIAL = "CC BY-NC 4.0"
MIX_94K = "Libri-Light 60,000 h, GigaSpeech 10,000 h, VoxPopuli 24,000 h"
LIBRI_LIGHT = "Libri-Light"
LIBRI_ROBUST = "Libri-Light, Common Voice, Switchboard, Fisher"
LETTERS, PHONEMES = "letters with CTC", "phonemes with CTC"
X_VECTORS, SPEAKER_FRAMES = "speaker verification (x-vector head)", "speaker diarization (frame head)"
TAUGHT_BY: dict[Ability, str] = {"transcription": "CTC", "verification": X_VECTORS, "diarization": SPEAKER_FRAMES}
OWN_TRANSCRIPTS = "and its own transcripts of Libri-Light"
OMNILINGUAL_DATA = "unlabeled speech, 460,000 h of it in languages that are not known"
OMNILINGUAL_LANGUAGES = "1,239 languages and more"
MANY_LANGUAGES = f"1600+ languages, {LETTERS}"
MMS_DATA = "readings of religious texts (MMS-lab) and other corpora"
XLS_R_DATA = "VoxPopuli, Multilingual LibriSpeech, Common Voice, VoxLingua107, BABEL"
BERT_ARCHIVE = (
    "An archive of weights and dictionary. The dictionary's size is not published: parameters are counted with about "
    "as many codes as the paper names, and include the head and the vq-wav2vec that makes the codes."
)
FILE_KNOWS = (
    "Whether frames are compressed logarithmically, and the activation behind the convolutions, are read from the file."
)
UNCHECKED = (
    "Read from the layout that the source of fairseq2 and omnilingual-asr gives it: no published file was at hand."
)
UP_TO_40_SECONDS = "Its authors transcribe recordings of up to 40 seconds; take windows of 30 for longer ones."
HUB_NORMALIZES = (
    "The authors trained it on waveforms as they are; the hub's preprocessor asks for normalized ones. "
    "sonant goes by the file that it loads."
)
CONFORMER_DATA = (
    "The hub's cards speak of Libri-Light and of LibriSpeech as the speech it was pretrained on; the paper is about "
    "other models, and gives no result of this one."
)
HUB_BIASES = (
    "The file on the hub has biases in its convolutions, which the authors' own training configuration does not; "
    "sonant goes by what the file holds."
)


def _file(name: str) -> str:
    return f"https://dl.fbaipublicfiles.com/fairseq/wav2vec/{name}"


def _omniasr(name: str) -> str:
    return f"https://dl.fbaipublicfiles.com/mms/{name}"


def _omniasr_encoder(size: str, config: wav2vec2.Wav2Vec2Config, parameters: int) -> Card:
    return Card(
        name=f"fairseq2/omniASR_W2V_{size}",
        title=f"omniASR {size}",
        config=config,
        parameters=parameters,
        data=OMNILINGUAL_DATA,
        hours=4_300_000,
        languages=OMNILINGUAL_LANGUAGES,
        license=APACHE,
        paper=OMNILINGUAL_PAPER,
        address=_omniasr(f"omniASR-W2V-{size}.pt"),
        notes=(UNCHECKED,),
    )


# Models of one paper and one license.
_wavlm = partial(Card, license=MICROSOFT, paper=WAVLM_PAPER)
_hubert = partial(Card, license=META, paper=HUBERT_PAPER)
_wav2vec2 = partial(Card, license=META, paper=WAV2VEC2_PAPER)
_xls_r = partial(Card, license=META, paper=XLS_R_PAPER)
_mms = partial(Card, license=NON_COMMERCIAL, paper=MMS_PAPER)
_conformer = partial(Card, license=META, paper=CONFORMER_PAPER)
_data2vec = partial(Card, license=META, paper=DATA2VEC_PAPER)
_unispeech = partial(Card, license=MICROSOFT, paper=UNISPEECH_PAPER)
_unispeech_sat = partial(Card, license=MICROSOFT, paper=UNISPEECH_SAT_PAPER)
_sew = partial(Card, license=ASAPP, paper=SEW_PAPER)
_vq_wav2vec = partial(Card, license=MIT, paper=VQ_WAV2VEC_PAPER)

PRETRAINED = (
    Card(
        name="sonant/wavlm-tiny",
        title="WavLM Tiny",
        config=wavlm.TINY,
        parameters=6_858_400,
        data="parts of LibriSpeech, speechocean762, LJ Speech, LibriVox and Rhasspy's voices",
        hours=9,
        languages="mostly English",
        license="Apache-2.0",
        paper=WAVLM_PAPER,
        shipped=True,
        notes=(
            "Pretrained by sonant's own recipe, wavlm_tiny, for demonstrations and tests; the large models know more.",
            "LibriSpeech test-clean is among its training data: measure it elsewhere.",
        ),
    ),
    _wavlm(
        name="microsoft/wavlm-base",
        title="WavLM Base",
        config=wavlm.WavLMConfig(),
        parameters=94_381_936,
        data="LibriSpeech",
        hours=960,
    ),
    _wavlm(
        name="microsoft/wavlm-base-plus",
        title="WavLM Base+",
        config=wavlm.WavLMConfig(),
        parameters=94_381_936,
        data=MIX_94K,
        hours=94_000,
    ),
    _wavlm(
        name="microsoft/wavlm-large",
        title="WavLM Large",
        config=wavlm.LARGE,
        parameters=315_453_120,
        data=MIX_94K,
        hours=94_000,
        notes=("The released verification back-end does not reach the paper's error rates; both are listed.",),
    ),
    _hubert(
        name="facebook/hubert-base-ls960",
        title="HuBERT Base",
        config=hubert.HuBERTConfig(),
        parameters=94_371_712,
        data="LibriSpeech",
        hours=960,
    ),
    _hubert(
        name="facebook/hubert-large-ll60k",
        title="HuBERT Large",
        config=replace(hubert.LARGE, conv_bias=True),
        parameters=315_438_720,
        data=LIBRI_LIGHT,
        hours=60_000,
        notes=(HUB_BIASES,),
    ),
    _hubert(
        name="facebook/hubert-xlarge-ll60k",
        title="HuBERT Extra Large",
        config=replace(hubert.XLARGE, conv_bias=True),
        parameters=962_497_408,
        data=LIBRI_LIGHT,
        hours=60_000,
        notes=(HUB_BIASES,),
    ),
    Card(
        name="ntu-spml/distilhubert",
        title="DistilHuBERT",
        config=hubert.DISTILHUBERT,
        parameters=23_491_968,
        data="LibriSpeech",
        hours=960,
        license="Apache-2.0",
        paper=DISTILHUBERT_PAPER,
        notes=("Two layers that were trained to give layers 4, 8 and 12 of HuBERT Base through heads, since dropped.",),
    ),
    Card(
        name="slprl/mhubert-base-25hz",
        title="mHuBERT Base, 25 Hz",
        config=hubert.MHUBERT_25HZ,
        parameters=94_897_408,
        data="Multilingual LibriSpeech, VoxPopuli, Common Voice, Spotify, Fisher",
        languages="multilingual",
        license="MIT",
        paper=TWIST_PAPER,
        notes=("25 frames a second; made for units of speech. The positional convolution has a batch norm.",),
    ),
    _wav2vec2(
        name="facebook/wav2vec2-base",
        title="wav2vec 2.0 Base",
        config=wav2vec2.Wav2Vec2Config(),
        parameters=94_371_712,
        data="LibriSpeech",
        hours=960,
        notes=(HUB_NORMALIZES,),
    ),
    _wav2vec2(
        name="facebook/wav2vec2-large",
        title="wav2vec 2.0 Large (LibriSpeech)",
        config=wav2vec2.LARGE_LS960,
        parameters=315_428_992,
        data="LibriSpeech",
        hours=960,
        notes=(HUB_NORMALIZES,),
    ),
    _wav2vec2(
        name="facebook/wav2vec2-large-lv60",
        title="wav2vec 2.0 Large (LV-60k)",
        config=wav2vec2.LARGE_LV60,
        parameters=315_438_720,
        data=LIBRI_LIGHT,
        hours=53_000,
    ),
    Card(
        name="facebook/wav2vec2-large-xlsr-53",
        title="XLSR-53",
        config=wav2vec2.LARGE_LV60,
        parameters=315_438_720,
        data="Multilingual LibriSpeech, Common Voice, BABEL",
        hours=56_000,
        languages="53 languages",
        license=META,
        paper=XLSR_PAPER,
    ),
    _xls_r(
        name="facebook/wav2vec2-xls-r-300m",
        title="XLS-R 300M",
        config=wav2vec2.XLS_R_300M,
        parameters=315_438_720,
        data=XLS_R_DATA,
        hours=436_000,
        languages="128 languages",
    ),
    _xls_r(
        name="facebook/wav2vec2-xls-r-1b",
        title="XLS-R 1B",
        config=wav2vec2.XLS_R_1B,
        parameters=962_497_408,
        data=XLS_R_DATA,
        hours=436_000,
        languages="128 languages",
    ),
    _xls_r(
        name="facebook/wav2vec2-xls-r-2b",
        title="XLS-R 2B",
        config=wav2vec2.XLS_R_2B,
        parameters=2_159_259_648,
        data=XLS_R_DATA,
        hours=436_000,
        languages="128 languages",
    ),
    Card(
        name="facebook/wav2vec2-large-robust",
        title="wav2vec 2.0 Large (LV-60k, Common Voice, telephone)",
        config=wav2vec2.LARGE_LV60,
        parameters=315_438_720,
        data=LIBRI_ROBUST,
        license=META,
        paper=ROBUST_PAPER,
    ),
    Card(
        name="facebook/wav2vec2-large-100k-voxpopuli",
        title="wav2vec 2.0 Large (VoxPopuli)",
        config=wav2vec2.LARGE_LV60,
        parameters=315_438_720,
        data="VoxPopuli, its part of 100,000 h",
        hours=100_000,
        languages="23 languages",
        license=NON_COMMERCIAL,
        paper=VOXPOPULI_PAPER,
    ),
    _mms(
        name="facebook/mms-300m",
        title="MMS 300M",
        config=wav2vec2.XLS_R_300M,
        parameters=315_438_720,
        data=MMS_DATA,
        hours=500_000,
        languages="1,406 languages",
    ),
    _mms(
        name="facebook/mms-1b",
        title="MMS 1B",
        config=wav2vec2.XLS_R_1B,
        parameters=962_497_408,
        data=MMS_DATA,
        hours=500_000,
        languages="1,406 languages",
    ),
    _omniasr_encoder("300M", wav2vec2.OMNIASR_300M, 315_438_720),
    _omniasr_encoder("1B", wav2vec2.XLS_R_1B, 962_497_408),
    _omniasr_encoder("3B", wav2vec2.OMNIASR_3B, 3_060_320_896),
    _omniasr_encoder("7B", wav2vec2.OMNIASR_7B, 6_484_683_392),
    _conformer(
        name="facebook/wav2vec2-conformer-rel-pos-large",
        title="wav2vec 2.0 Conformer Large, relative positions",
        config=wav2vec2_conformer.RELATIVE_LARGE,
        parameters=610_169_344,
        data=LIBRI_LIGHT,
        notes=(CONFORMER_DATA,),
    ),
    _conformer(
        name="facebook/wav2vec2-conformer-rope-large",
        title="wav2vec 2.0 Conformer Large, rotary positions",
        config=wav2vec2_conformer.ROTARY_LARGE,
        parameters=584_954_368,
        data=LIBRI_LIGHT,
        notes=(CONFORMER_DATA,),
    ),
    _data2vec(
        name="facebook/data2vec-audio-base",
        title="data2vec audio Base",
        config=data2vec.Data2VecConfig(),
        parameters=93_164_288,
        data="LibriSpeech",
        hours=960,
    ),
    _data2vec(
        name="facebook/data2vec-audio-large",
        title="data2vec audio Large",
        config=data2vec.LARGE,
        parameters=313_276_416,
        data=LIBRI_LIGHT,
        hours=60_000,
    ),
    _unispeech(
        name="microsoft/unispeech-large-1500h-cv",
        title="UniSpeech Large",
        config=unispeech.UNISPEECH_LARGE,
        parameters=315_438_720,
        data="Common Voice with phoneme labels",
        hours=1350,
        notes=("The name says 1,500 hours, its authors' training script 1,350.",),
    ),
    _unispeech(
        name="microsoft/unispeech-large-multi-lingual-1500h-cv",
        title="UniSpeech Large, multilingual",
        config=unispeech.UNISPEECH_LARGE,
        parameters=315_438_720,
        data="Common Voice with phoneme labels",
        languages="English, French, Italian, Spanish",
    ),
    _unispeech_sat(
        name="microsoft/unispeech-sat-base",
        title="UniSpeech-SAT Base",
        config=unispeech.UniSpeechSATConfig(),
        parameters=94_371_712,
        data="LibriSpeech",
        hours=960,
    ),
    _unispeech_sat(
        name="microsoft/unispeech-sat-base-plus",
        title="UniSpeech-SAT Base+",
        config=unispeech.UniSpeechSATConfig(),
        parameters=94_371_712,
        data=MIX_94K,
        hours=94_000,
    ),
    _unispeech_sat(
        name="microsoft/unispeech-sat-large",
        title="UniSpeech-SAT Large",
        config=unispeech.SAT_LARGE,
        parameters=315_435_136,
        data=MIX_94K,
        hours=94_000,
    ),
    _sew(
        name="asapp/sew-tiny-100k",
        title="SEW-tiny",
        config=sew.SEWConfig(),
        parameters=40_708_895,
        data="LibriSpeech",
        hours=960,
        notes=(HUB_NORMALIZES,),
    ),
    _sew(
        name="asapp/sew-small-100k",
        title="SEW-small",
        config=sew.SMALL,
        parameters=89_620_511,
        data="LibriSpeech",
        hours=960,
        notes=(HUB_NORMALIZES,),
    ),
    _sew(
        name="asapp/sew-mid-100k",
        title="SEW-mid",
        config=sew.MID,
        parameters=174_674_975,
        data="LibriSpeech",
        hours=960,
        notes=(HUB_NORMALIZES,),
    ),
    Card(
        name="facebook/w2v-bert-2.0",
        title="w2v-BERT 2.0",
        config=w2v_bert2.W2vBERT2Config(),
        parameters=580_493_120,
        data="unlabeled speech that its authors do not name",
        hours=4_500_000,
        languages="more than 143 languages",
        license=MIT,
        paper=SEAMLESS_PAPER,
    ),
    _vq_wav2vec(
        name="fairseq/vq-wav2vec",
        title="vq-wav2vec, Gumbel",
        config=vq_wav2vec.GUMBEL,
        parameters=30_917_248,
        data="LibriSpeech",
        hours=960,
        address=_file("vq-wav2vec.pt"),
        notes=(FILE_KNOWS,),
    ),
    _vq_wav2vec(
        name="fairseq/vq-wav2vec_kmeans",
        title="vq-wav2vec, k-means",
        config=vq_wav2vec.KMEANS,
        parameters=29_868_032,
        data="LibriSpeech",
        hours=960,
        address=_file("vq-wav2vec_kmeans.pt"),
        notes=(FILE_KNOWS,),
    ),
    _vq_wav2vec(
        name="fairseq/bert_kmeans",
        title="BERT on the codes of vq-wav2vec, k-means",
        config=discrete_bert.DiscreteBERTConfig(),
        parameters=134_781_405,
        data="LibriSpeech",
        hours=960,
        address=_file("bert_kmeans.tar"),
        notes=(BERT_ARCHIVE,),
    ),
    Card(
        name="fairseq/wav2vec_large",
        title="wav2vec Large",
        config=wav2vec.LARGE,
        parameters=29_390_848,
        data="LibriSpeech",
        hours=960,
        license=MIT,
        paper=WAV2VEC_PAPER,
        address=_file("wav2vec_large.pt"),
    ),
)


class Tuned(NamedTuple):
    """A published fine-tuned model: the differences from the card of its base model."""

    name: str
    title: str
    pretrained: str
    labels: str
    paper: tuple[str, str] | None = None
    address: str | None = None
    beside: str | None = None
    notes: tuple[str, ...] = ()

    def card(self, origin: Card) -> Card:
        card = replace(
            origin,
            name=self.name,
            title=self.title,
            pretrained=self.pretrained,
            labels=self.labels,
            paper=self.paper or origin.paper,
        )
        # Facts about the model on the hub do not all apply to the file of the authors.
        if self.address is None:
            return card
        terms = MIT if origin.address is None else origin.license
        return replace(card, address=self.address, beside=self.beside, license=terms, notes=self.notes)


def _omniasr_recognizer(size: str, version: str, tokenizer: str) -> Tuned:
    return Tuned(
        f"fairseq2/omniASR_CTC_{size}{version}",
        f"omniASR {size}, fine-tuned",
        f"fairseq2/omniASR_W2V_{size}",
        MANY_LANGUAGES,
        address=_omniasr(f"omniASR-CTC-{size}{version.replace('_', '-')}.pt"),
        beside=_omniasr(tokenizer),
        notes=(f"Its tokens are in {_omniasr(tokenizer)}, which must lie in its folder.", UP_TO_40_SECONDS, UNCHECKED),
    )


OMNIASR_TOKENIZERS = {"": "omniASR_tokenizer.model", "_v2": "omniASR_tokenizer_written_v2.model"}  # by version

TUNED = (
    Tuned("microsoft/wavlm-base-sv", "WavLM Base, fine-tuned", "microsoft/wavlm-base", X_VECTORS),
    Tuned("microsoft/wavlm-base-sd", "WavLM Base, fine-tuned", "microsoft/wavlm-base", SPEAKER_FRAMES),
    Tuned(
        "microsoft/wavlm-base-plus-sv",
        "WavLM Base+, fine-tuned",
        "microsoft/wavlm-base-plus",
        f"VoxCeleb1, {X_VECTORS}",
    ),
    Tuned(
        "microsoft/wavlm-base-plus-sd",
        "WavLM Base+, fine-tuned",
        "microsoft/wavlm-base-plus",
        f"LibriMix, {SPEAKER_FRAMES}",
    ),
    Tuned(
        "facebook/data2vec-audio-base-960h",
        "data2vec audio Base, fine-tuned",
        "facebook/data2vec-audio-base",
        f"LibriSpeech 960 h, {LETTERS}",
    ),
    Tuned(
        "facebook/data2vec-audio-large-960h",
        "data2vec audio Large, fine-tuned",
        "facebook/data2vec-audio-large",
        f"LibriSpeech 960 h, {LETTERS}",
    ),
    Tuned(
        "microsoft/unispeech-sat-base-100h-libri-ft",
        "UniSpeech-SAT Base, fine-tuned",
        "microsoft/unispeech-sat-base",
        f"LibriSpeech 100 h, {LETTERS}",
    ),
    Tuned(
        "microsoft/unispeech-sat-base-sd",
        "UniSpeech-SAT Base, fine-tuned",
        "microsoft/unispeech-sat-base",
        SPEAKER_FRAMES,
    ),
    Tuned(
        "microsoft/unispeech-sat-base-plus-sv",
        "UniSpeech-SAT Base+, fine-tuned",
        "microsoft/unispeech-sat-base-plus",
        X_VECTORS,
    ),
    Tuned(
        "facebook/hubert-large-ls960-ft",
        "HuBERT Large, fine-tuned",
        "facebook/hubert-large-ll60k",
        f"LibriSpeech 960 h, {LETTERS}",
    ),
    Tuned(
        "facebook/hubert-xlarge-ls960-ft",
        "HuBERT Extra Large, fine-tuned",
        "facebook/hubert-xlarge-ll60k",
        f"LibriSpeech 960 h, {LETTERS}",
    ),
    Tuned(
        "facebook/wav2vec2-base-100h",
        "wav2vec 2.0 Base, fine-tuned",
        "facebook/wav2vec2-base",
        f"LibriSpeech 100 h, {LETTERS}",
    ),
    Tuned(
        "facebook/wav2vec2-base-960h",
        "wav2vec 2.0 Base, fine-tuned",
        "facebook/wav2vec2-base",
        f"LibriSpeech 960 h, {LETTERS}",
    ),
    Tuned(
        "fairseq/wav2vec_small_10m",
        "wav2vec 2.0 Base, fine-tuned",
        "facebook/wav2vec2-base",
        f"LibriSpeech 10 min, {LETTERS}",
        address=_file("wav2vec_small_10m.pt"),
    ),
    Tuned(
        "facebook/wav2vec2-large-960h",
        "wav2vec 2.0 Large (LibriSpeech), fine-tuned",
        "facebook/wav2vec2-large",
        f"LibriSpeech 960 h, {LETTERS}",
    ),
    Tuned(
        "fairseq/wav2vec_big_10m",
        "wav2vec 2.0 Large (LibriSpeech), fine-tuned",
        "facebook/wav2vec2-large",
        f"LibriSpeech 10 min, {LETTERS}",
        address=_file("wav2vec_big_10m.pt"),
    ),
    Tuned(
        "fairseq/wav2vec_big_100h",
        "wav2vec 2.0 Large (LibriSpeech), fine-tuned",
        "facebook/wav2vec2-large",
        f"LibriSpeech 100 h, {LETTERS}",
        address=_file("wav2vec_big_100h.pt"),
    ),
    Tuned(
        "facebook/wav2vec2-large-960h-lv60",
        "wav2vec 2.0 Large (LV-60k), fine-tuned",
        "facebook/wav2vec2-large-lv60",
        f"LibriSpeech 960 h, {LETTERS}",
    ),
    Tuned(
        "fairseq/wav2vec_vox_10m_new",
        "wav2vec 2.0 Large (LV-60k), fine-tuned",
        "facebook/wav2vec2-large-lv60",
        f"LibriSpeech 10 min, {LETTERS}",
        address=_file("wav2vec_vox_10m_new.pt"),
    ),
    Tuned(
        "fairseq/wav2vec_vox_100h_new",
        "wav2vec 2.0 Large (LV-60k), fine-tuned",
        "facebook/wav2vec2-large-lv60",
        f"LibriSpeech 100 h, {LETTERS}",
        address=_file("wav2vec_vox_100h_new.pt"),
    ),
    Tuned(
        "facebook/wav2vec2-large-960h-lv60-self",
        "wav2vec 2.0 Large (LV-60k), self-trained and fine-tuned",
        "facebook/wav2vec2-large-lv60",
        f"LibriSpeech 960 h, {LETTERS}, {OWN_TRANSCRIPTS}",
        SELF_TRAINING_PAPER,
    ),
    Tuned(
        "fairseq/wav2vec_vox_10m_pl",
        "wav2vec 2.0 Large (LV-60k), self-trained and fine-tuned",
        "facebook/wav2vec2-large-lv60",
        f"LibriSpeech 10 min, {LETTERS}, {OWN_TRANSCRIPTS}",
        SELF_TRAINING_PAPER,
        _file("wav2vec_vox_10m_pl.pt"),
    ),
    Tuned(
        "fairseq/wav2vec_vox_100h_pl",
        "wav2vec 2.0 Large (LV-60k), self-trained and fine-tuned",
        "facebook/wav2vec2-large-lv60",
        f"LibriSpeech 100 h, {LETTERS}, {OWN_TRANSCRIPTS}",
        SELF_TRAINING_PAPER,
        _file("wav2vec_vox_100h_pl.pt"),
    ),
    Tuned(
        "facebook/wav2vec2-large-robust-ft-libri-960h",
        "wav2vec 2.0 Large (robust), fine-tuned",
        "facebook/wav2vec2-large-robust",
        f"LibriSpeech 960 h, {LETTERS}",
    ),
    Tuned(
        "facebook/wav2vec2-large-robust-ft-swbd-300h",
        "wav2vec 2.0 Large (robust), fine-tuned",
        "facebook/wav2vec2-large-robust",
        f"Switchboard 300 h, {LETTERS}",
    ),
    Tuned(
        "fairseq/espeak_en_26lang_m10",
        "wav2vec 2.0 Large (LV-60k), fine-tuned to phonemes",
        "facebook/wav2vec2-large-lv60",
        f"Common Voice in 26 languages, {PHONEMES}",
        ZERO_SHOT_PAPER,
        _file("zero_shot/espeak_en_26lang_m10.pt"),
    ),
    Tuned(
        "fairseq/espeak_26lang_m10",
        "XLSR-53, fine-tuned to phonemes",
        "facebook/wav2vec2-large-xlsr-53",
        f"Common Voice in 26 languages, {PHONEMES}",
        ZERO_SHOT_PAPER,
        _file("zero_shot/espeak_26lang_m10.pt"),
    ),
    Tuned(
        "fairseq/phonetisaurus_21lang_m10",
        "XLSR-53, fine-tuned to phonemes",
        "facebook/wav2vec2-large-xlsr-53",
        f"Common Voice in 21 languages, {PHONEMES}",
        ZERO_SHOT_PAPER,
        _file("zero_shot/phonetisaurus_21lang_m10.pt"),
    ),
    Tuned(
        "fairseq/phonetisaurus_40lang_m10",
        "XLSR-53, fine-tuned to phonemes",
        "facebook/wav2vec2-large-xlsr-53",
        f"Common Voice and BABEL in 40 languages, {PHONEMES}",
        ZERO_SHOT_PAPER,
        _file("zero_shot/phonetisaurus_40lang_m10.pt"),
    ),
    Tuned(
        "facebook/wav2vec2-conformer-rel-pos-large-100h-ft",
        "wav2vec 2.0 Conformer Large, relative positions, fine-tuned",
        "facebook/wav2vec2-conformer-rel-pos-large",
        f"LibriSpeech 100 h, {LETTERS}",
    ),
    Tuned(
        "facebook/wav2vec2-conformer-rel-pos-large-960h-ft",
        "wav2vec 2.0 Conformer Large, relative positions, fine-tuned",
        "facebook/wav2vec2-conformer-rel-pos-large",
        f"LibriSpeech 960 h, {LETTERS}",
    ),
    Tuned(
        "facebook/wav2vec2-conformer-rope-large-100h-ft",
        "wav2vec 2.0 Conformer Large, rotary positions, fine-tuned",
        "facebook/wav2vec2-conformer-rope-large",
        f"LibriSpeech 100 h, {LETTERS}",
    ),
    Tuned(
        "facebook/wav2vec2-conformer-rope-large-960h-ft",
        "wav2vec 2.0 Conformer Large, rotary positions, fine-tuned",
        "facebook/wav2vec2-conformer-rope-large",
        f"LibriSpeech 960 h, {LETTERS}",
    ),
    *(
        _omniasr_recognizer(size, version, tokenizer)
        for size in ("300M", "1B", "3B", "7B")
        for version, tokenizer in OMNIASR_TOKENIZERS.items()
    ),
    Tuned(
        "asapp/sew-tiny-100k-ft-ls100h", "SEW-tiny, fine-tuned", "asapp/sew-tiny-100k", f"LibriSpeech 100 h, {LETTERS}"
    ),
)


def _rows() -> Iterator[Card]:
    """Yield the cards by family, each model followed by those fine-tuned from it."""
    for family in TITLES.values():
        for card in PRETRAINED:
            if card.family == family:
                yield card
                yield from (tuned.card(card) for tuned in TUNED if tuned.pretrained == card.name)


CATALOG: dict[str, Card] = {card.name: card for card in _rows()}
