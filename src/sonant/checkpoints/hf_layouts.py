"""Layouts of transformers' folders, one per family that it supports."""

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
        rows: parameter-name map of the backbone.
        settings, required: of config.json.
        classes: by kind of head; the class without a head is the family's `peer`. `AgeGenderModel`,
            `HubertModelWithFinalProj` and `...ForSpeechClassification` are published with models, not in transformers.
        beside_backbone: kinds of head whose classes have no prefix before the backbone's tensors.
        derived: returns tensors that the configuration determines, by transformers' names; they are only compared.
        unused: whether the class has a positional convolution that it does not use.
        pretraining: map of the pretraining head.
        under_adapter: kinds of head whose classes do not support an adapter.
        extractor: class of the feature extractor.
        read, write: conversion of the rest of config.json: (config.json, preprocessor, source) to our values, and back.
        preprocessor: returns the settings of the feature extractor.
        normalize_from: description of the default for waveform normalization without a preprocessor.
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
        """Return whether there is a class for this configuration and kind of head."""
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
    """Return class names by kind of head, derived from the family's name; `others` are given in full."""
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
    """Return the layout of a family on waveforms; `required` is added to that of all of them."""
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
