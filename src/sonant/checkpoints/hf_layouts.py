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
    {
        "ctc": "WavLMForCTC",
        "sequence_classification": "WavLMForSequenceClassification",
        "speech_classification": "WavLMForSpeechClassification",
        "frame_classification": "WavLMForAudioFrameClassification",
        "xvector": "WavLMForXVector",
    },
    required=(*NO_ATTENTION_ADAPTERS, *NO_PARTS_OF_HUBERT),
    under_adapter=("sequence_classification", "frame_classification"),
)
HUBERT = replace(
    _waveform(
        "hubert",
        HUBERT_SETTINGS,
        {
            "ctc": "HubertForCTC",
            "sequence_classification": "HubertForSequenceClassification",
            "speech_classification": "HubertForSpeechClassification",
            "pretraining": "HubertModelWithFinalProj",
        },
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
    {
        "ctc": "Wav2Vec2ForCTC",
        "sequence_classification": "Wav2Vec2ForSequenceClassification",
        "speech_classification": "Wav2Vec2ForSpeechClassification",
        "age_gender": "AgeGenderModel",
        "frame_classification": "Wav2Vec2ForAudioFrameClassification",
        "xvector": "Wav2Vec2ForXVector",
        "pretraining": "Wav2Vec2ForPreTraining",
    },
    required=NO_PARTS_OF_HUBERT,
    under_adapter=("sequence_classification", "frame_classification"),
)
WAV2VEC2_CONFORMER = Layout(
    model_type="wav2vec2-conformer",
    prefix="wav2vec2_conformer.",
    rows=HF_CONFORMER,
    settings=CONFORMER_SETTINGS,
    required=CONFORMER_REQUIRED,
    classes={
        "ctc": "Wav2Vec2ConformerForCTC",
        "sequence_classification": "Wav2Vec2ConformerForSequenceClassification",
        "frame_classification": "Wav2Vec2ConformerForAudioFrameClassification",
        "xvector": "Wav2Vec2ConformerForXVector",
        "pretraining": "Wav2Vec2ConformerForPreTraining",
    },
    extractor="Wav2Vec2FeatureExtractor",
    read=read_conformer,
    write=write_conformer,
    preprocessor=waveform_preprocessor,
    derived=derived_of_conformer,
    unused=True,
    under_adapter=("sequence_classification", "frame_classification"),
)
DATA2VEC = replace(
    _waveform(
        "data2vec_audio",
        DATA2VEC_SETTINGS,
        {
            "ctc": "Data2VecAudioForCTC",
            "sequence_classification": "Data2VecAudioForSequenceClassification",
            "frame_classification": "Data2VecAudioForAudioFrameClassification",
            "xvector": "Data2VecAudioForXVector",
        },
        required=(*NO_ATTENTION_ADAPTERS, *NO_PARTS_OF_HUBERT),
        under_adapter=("sequence_classification", "frame_classification"),
    ),
    model_type="data2vec-audio",
    read=read_data2vec,
)
UNISPEECH = replace(
    _waveform(
        "unispeech",
        WAVEFORM_SETTINGS,
        {
            "ctc": "UniSpeechForCTC",
            "sequence_classification": "UniSpeechForSequenceClassification",
            "pretraining": "UniSpeechForPreTraining",
        },
        required=(*NO_CONV_ADAPTER, *NO_PARTS_OF_HUBERT),
    ),
    pretraining=HF_UNISPEECH,
)
UNISPEECH_SAT = replace(
    _waveform(
        "unispeech_sat",
        WAVEFORM_SETTINGS,
        {
            "ctc": "UniSpeechSatForCTC",
            "sequence_classification": "UniSpeechSatForSequenceClassification",
            "frame_classification": "UniSpeechSatForAudioFrameClassification",
            "xvector": "UniSpeechSatForXVector",
            "pretraining": "UniSpeechSatForPreTraining",
        },
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
    classes={
        "ctc": "SEWForCTC",
        "sequence_classification": "SEWForSequenceClassification",
    },
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
    classes={
        "ctc": "Wav2Vec2BertForCTC",
        "sequence_classification": "Wav2Vec2BertForSequenceClassification",
        "frame_classification": "Wav2Vec2BertForAudioFrameClassification",
        "xvector": "Wav2Vec2BertForXVector",
    },
    extractor="SeamlessM4TFeatureExtractor",
    read=read_w2v_bert2,
    write=write_w2v_bert2,
    preprocessor=w2v_bert2_preprocessor,
    normalize_from="the family, which normalizes its mel energies",
    under_adapter=("sequence_classification", "frame_classification"),
)
