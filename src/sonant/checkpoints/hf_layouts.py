"""Layouts of transformers, one for each family that it has classes for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from sonant.checkpoints.hf_settings import (
    CONFORMER_REQUIRED,
    CONFORMER_SETTINGS,
    DATA2VEC_SETTINGS,
    HUBERT_SETTINGS,
    NO_ATTENTION_ADAPTERS,
    NO_CONV_ADAPTER,
    NO_PARTS_OF_HUBERT,
    SEW_REQUIRED,
    SEW_SETTINGS,
    W2V_BERT2_REQUIRED,
    W2V_BERT2_SETTINGS,
    WAVEFORM_REQUIRED,
    WAVEFORM_SETTINGS,
    WAVLM_SETTINGS,
    Required,
    Settings,
    derived_of_conformer,
    read_conformer,
    read_data2vec,
    read_hubert,
    read_w2v_bert2,
    read_waveform,
    w2v_bert2_preprocessor,
    waveform_preprocessor,
    write_conformer,
    write_hubert,
    write_sew,
    write_w2v_bert2,
    write_waveform,
)
from sonant.checkpoints.name_maps.hf import (
    HF,
    HF_CONFORMER,
    HF_CONTRAST,
    HF_FINAL_PROJECTION,
    HF_SEW,
    HF_UNISPEECH,
    HF_UNISPEECH_SAT,
    HF_W2V_BERT2,
)
from sonant.checkpoints.parameter_names import HeadMap, NameMap


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The layout of one family in transformers.

    Attributes:
        model_type: in config.json.
        prefix: of the backbone's tensors in a model with a head.
        rows: names of tensors.
        settings, required: of config.json.
        classes: by kind of head; that of the bare model is the family's `peer`. `AgeGenderModel`,
            `HubertModelWithFinalProj` and `...ForSpeechClassification` come with the models, not with transformers,
            which loads the backbone alone.
        beside_backbone: the kinds of head whose classes put no prefix before the backbone's tensors.
        derived: the tensors of a file that its configuration determines, by their name there: not read, but compared.
        unused: whether its class has a positional convolution that it never computes with.
        pretraining: the parts of a pretraining head.
        under_adapter: the kinds of head whose classes refuse a model with an adapter.
        extractor: class of the feature extractor.
        read, write: the rest of config.json beyond `settings`: (theirs, preprocessor, source) to ours, and back.
        preprocessor: the settings of the feature extractor.
        normalize_from: in words, the source that says whether waveforms are normalized where there is no preprocessor.
    """

    model_type: str
    prefix: str
    rows: NameMap
    settings: Settings
    required: Required
    classes: Mapping[str, str]
    extractor: str
    read: Callable[[Mapping[str, Any], Mapping[str, Any], object], dict[str, Any]]
    write: Callable[[Any], dict[str, Any]]
    preprocessor: Callable[[Any], dict[str, Any]]
    normalize_from: str = "the extractor's norm, as in the published models"
    derived: Callable[[Any], dict[str, Tensor]] = lambda _: {}
    unused: bool = False
    pretraining: HeadMap = HF_CONTRAST
    under_adapter: tuple[str, ...] = ()
    beside_backbone: tuple[str, ...] = ()

    def has(self, config: Any, kind: str) -> bool:
        """Return whether there is a class for a model of this configuration with a head of this kind."""
        return kind in self.classes and not (kind in self.under_adapter and config.adapter_layers)


ENDINGS = {
    "ctc": "ForCTC",
    "sequence_classification": "ForSequenceClassification",
    "speech_classification": "ForSpeechClassification",
    "frame_classification": "ForAudioFrameClassification",
    "xvector": "ForXVector",
    "pretraining": "ForPreTraining",
}
CLASSIFIERS = ("sequence_classification", "frame_classification")
FOUR = ("ctc", *CLASSIFIERS, "xvector")


def _classes(name: str, *kinds: str, **others: str) -> dict[str, str]:
    """The classes for these kinds of head, named as transformers names them, and others by their whole names."""
    return {kind: f"{name}{ENDINGS[kind]}" for kind in kinds} | others


def _waveform(
    family: str,
    settings: Settings,
    classes: Mapping[str, str],
    *,
    required: Required = (),
    under_adapter: tuple[str, ...] = (),
    beside_backbone: tuple[str, ...] = (),
) -> Layout:
    """A family over waveforms; `required` beyond what all of them require."""
    return Layout(
        model_type=family,
        prefix=f"{family}.",
        rows=HF,
        settings=settings,
        required=(*WAVEFORM_REQUIRED, *required),
        classes=classes,
        extractor="Wav2Vec2FeatureExtractor",
        read=read_waveform,
        write=write_waveform,
        preprocessor=waveform_preprocessor,
        under_adapter=under_adapter,
        beside_backbone=beside_backbone,
    )


WAVLM = _waveform(
    "wavlm",
    WAVLM_SETTINGS,
    _classes("WavLM", *FOUR, "speech_classification"),
    required=(*NO_ATTENTION_ADAPTERS, *NO_PARTS_OF_HUBERT),
    under_adapter=CLASSIFIERS,
)
HUBERT = replace(
    _waveform(
        "hubert",
        HUBERT_SETTINGS,
        _classes(
            "Hubert", "ctc", "sequence_classification", "speech_classification", pretraining="HubertModelWithFinalProj"
        ),
        required=NO_CONV_ADAPTER,
        beside_backbone=("pretraining",),
    ),
    pretraining=HF_FINAL_PROJECTION,
    read=read_hubert,
    write=write_hubert,
)
WAV2VEC2 = _waveform(
    "wav2vec2",
    WAVEFORM_SETTINGS,
    _classes("Wav2Vec2", *FOUR, "speech_classification", "pretraining", age_gender="AgeGenderModel"),
    required=NO_PARTS_OF_HUBERT,
    under_adapter=CLASSIFIERS,
)
WAV2VEC2_CONFORMER = Layout(
    model_type="wav2vec2-conformer",
    prefix="wav2vec2_conformer.",
    rows=HF_CONFORMER,
    settings=CONFORMER_SETTINGS,
    required=CONFORMER_REQUIRED,
    classes=_classes("Wav2Vec2Conformer", *FOUR, "pretraining"),
    extractor="Wav2Vec2FeatureExtractor",
    read=read_conformer,
    write=write_conformer,
    preprocessor=waveform_preprocessor,
    derived=derived_of_conformer,
    unused=True,
    under_adapter=CLASSIFIERS,
)
DATA2VEC = replace(
    _waveform(
        "data2vec_audio",
        DATA2VEC_SETTINGS,
        _classes("Data2VecAudio", *FOUR),
        required=(*NO_ATTENTION_ADAPTERS, *NO_PARTS_OF_HUBERT),
        under_adapter=CLASSIFIERS,
    ),
    model_type="data2vec-audio",
    read=read_data2vec,
)
UNISPEECH = replace(
    _waveform(
        "unispeech",
        WAVEFORM_SETTINGS,
        _classes("UniSpeech", "ctc", "sequence_classification", "pretraining"),
        required=(*NO_CONV_ADAPTER, *NO_PARTS_OF_HUBERT),
    ),
    pretraining=HF_UNISPEECH,
)
UNISPEECH_SAT = replace(
    _waveform(
        "unispeech_sat",
        WAVEFORM_SETTINGS,
        _classes("UniSpeechSat", *FOUR, "pretraining"),
        required=(*NO_CONV_ADAPTER, *NO_PARTS_OF_HUBERT),
    ),
    model_type="unispeech-sat",
    pretraining=HF_UNISPEECH_SAT,
)
SEW = Layout(
    model_type="sew",
    prefix="sew.",
    rows=HF_SEW,
    settings=SEW_SETTINGS,
    required=SEW_REQUIRED,
    classes=_classes("SEW", "ctc", "sequence_classification"),
    extractor="Wav2Vec2FeatureExtractor",
    read=read_waveform,
    write=write_sew,
    preprocessor=waveform_preprocessor,
)
W2V_BERT2 = Layout(
    model_type="wav2vec2-bert",
    prefix="wav2vec2_bert.",
    rows=HF_W2V_BERT2,
    settings=W2V_BERT2_SETTINGS,
    required=W2V_BERT2_REQUIRED,
    classes=_classes("Wav2Vec2Bert", *FOUR),
    extractor="SeamlessM4TFeatureExtractor",
    read=read_w2v_bert2,
    write=write_w2v_bert2,
    preprocessor=w2v_bert2_preprocessor,
    normalize_from="the family, which normalizes its mel energies",
    under_adapter=CLASSIFIERS,
)
