"""The families that transformers has classes for, and its layout of each: one table, `LAYOUTS`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

from torch import Tensor

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
from sonant.errors import CorruptedCheckpoint, UnsupportedCheckpoint
from sonant.layers.relative_attention import rotary_frequencies
from sonant.models import HuBERTConfig, SEWConfig, Wav2Vec2ConformerConfig, WaveformTransformerConfig
from sonant.models.normalization import TRANSFORMERS_EPSILON
from sonant.models.w2v_bert2 import W2vBERT2Config

# In the preprocessor, where the floor of the waveform's variance is not transformers' own, which alone it can compute.
NORMALIZE_EPSILON = "sonant_normalize_epsilon"

Settings = tuple[tuple[str, str, Any], ...]  # ours, theirs, and transformers' default where config.json leaves it out

WAVEFORM: Settings = (
    ("conv_channels", "conv_dim", (512,) * 7),
    ("conv_kernels", "conv_kernel", (10, 3, 3, 3, 3, 2, 2)),
    ("conv_strides", "conv_stride", (5, 2, 2, 2, 2, 2, 2)),
    ("extractor_norm", "feat_extract_norm", "group"),
    ("dim", "hidden_size", 768),
    ("num_layers", "num_hidden_layers", 12),
    ("num_heads", "num_attention_heads", 12),
    ("feed_forward_dim", "intermediate_size", 3072),
    ("pre_norm", "do_stable_layer_norm", False),
    ("position_kernel", "num_conv_pos_embeddings", 128),
    ("position_groups", "num_conv_pos_embedding_groups", 16),
    ("layer_norm_eps", "layer_norm_eps", 1e-5),
    ("dropout", "hidden_dropout", 0.1),
    ("attention_dropout", "attention_dropout", 0.1),
    ("activation_dropout", "activation_dropout", 0.1),
    ("input_dropout", "feat_proj_dropout", 0.0),
    ("layerdrop", "layerdrop", 0.1),
)
DATA2VEC: Settings = (
    *(row for row in WAVEFORM if row[0] not in ("extractor_norm", "pre_norm", "position_kernel")),
    ("position_kernel", "conv_pos_kernel_size", 19),
    ("position_depth", "num_conv_pos_embeddings", 5),
)
HUBERT: Settings = (*WAVEFORM, ("projection_norm", "feat_proj_layer_norm", True))
WAVLM: Settings = (
    *WAVEFORM,
    ("num_buckets", "num_buckets", 320),
    ("max_distance", "max_bucket_distance", 800),
)
W2V_BERT2: Settings = (
    ("dim", "hidden_size", 1024),
    ("num_layers", "num_hidden_layers", 24),
    ("num_heads", "num_attention_heads", 16),
    ("feed_forward_dim", "intermediate_size", 4096),
    ("conv_kernel", "conv_depthwise_kernel_size", 31),
    ("left_reach", "left_max_position_embeddings", 64),
    ("right_reach", "right_max_position_embeddings", 8),
    ("layer_norm_eps", "layer_norm_eps", 1e-5),
    ("dropout", "hidden_dropout", 0.0),
    ("attention_dropout", "attention_dropout", 0.0),
    ("activation_dropout", "activation_dropout", 0.0),
    ("input_dropout", "feat_proj_dropout", 0.0),
    ("conv_dropout", "conformer_conv_dropout", 0.1),
    ("layerdrop", "layerdrop", 0.1),
    ("adapter_feed_forward", "use_intermediate_ffn_before_adapter", False),
)

SEW: Settings = (
    *(row for row in WAVEFORM if row[0] not in ("pre_norm", "conv_channels", "conv_kernels", "conv_strides")),
    ("conv_channels", "conv_dim", SEWConfig.conv_channels),
    ("conv_kernels", "conv_kernel", SEWConfig.conv_kernels),
    ("conv_strides", "conv_stride", SEWConfig.conv_strides),
    ("squeeze_factor", "squeeze_factor", 2),
)
CONFORMER: Settings = (
    *(row for row in WAVEFORM if row[0] not in ("pre_norm", "position_kernel", "position_groups")),
    ("conv_kernel", "conv_depthwise_kernel_size", 31),
    ("rotary_base", "rotary_embedding_base", 10_000),
    ("conv_dropout", "conformer_conv_dropout", 0.1),
)

# A setting, the only value that we can do, and what another value means.
Required = tuple[tuple[str, Any, str], ...]
WAVEFORM_REQUIRED: Required = (
    ("hidden_act", "gelu", "another activation"),
    ("feat_extract_activation", "gelu", "another activation in the extractor"),
)
# Parts that HuBERT alone may have.
NO_PARTS_OF_HUBERT: Required = (
    ("conv_pos_batch_norm", False, "a batch norm in the positional convolution"),
    ("feat_proj_layer_norm", True, "no layer norm before the projection of the features"),
)
# Adapters that a family's classes in transformers do not have.
NO_CONV_ADAPTER: Required = (("add_adapter", False, "a convolutional adapter behind the encoder"),)
NO_ATTENTION_ADAPTERS: Required = (("adapter_attn_dim", None, "adapters in the attention layers, as in MMS"),)
SEW_REQUIRED: Required = (
    ("hidden_act", "gelu", "another activation"),
    ("feat_extract_activation", "gelu", "another activation in the extractor"),
)
CONFORMER_REQUIRED: Required = (("feat_extract_activation", "gelu", "another activation in the extractor"),)
W2V_BERT2_REQUIRED: Required = (
    ("hidden_act", "swish", "another activation"),
    ("adapter_act", "relu", "another activation in the adapter"),
    ("position_embeddings_type", "relative_key", "another kind of positions"),
)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The layout of one family in transformers.

    Attributes:
        model_type: in config.json.
        prefix: of the backbone's tensors in a model with a head.
        rows: names of tensors.
        settings, required: of config.json.
        classes: by kind of head, None for the bare model. Those of `AgeGenderModel`, `HubertModelWithFinalProj` and
            `...ForSpeechClassification` come with the models, not with transformers, which loads the backbone alone.
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
    classes: Mapping[str | None, str]
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


def _read_waveform(theirs: Mapping[str, Any], preprocessor: Mapping[str, Any], source: object) -> dict[str, Any]:
    norm = theirs.get("feat_extract_norm", "group")
    if norm not in ("group", "layer"):
        raise UnsupportedCheckpoint(
            f"{source}: config.json says feat_extract_norm={norm!r}; known are 'group' and 'layer'."
        )
    return {
        "normalize": preprocessor.get("do_normalize", True) if preprocessor else norm == "layer",
        "normalize_epsilon": preprocessor.get(NORMALIZE_EPSILON, TRANSFORMERS_EPSILON),
        # Post-norm layers have no adapter, whatever config.json says.
        "attention_adapter_dim": theirs.get("adapter_attn_dim") if theirs.get("do_stable_layer_norm") else None,
        **(_read_adapter(theirs, num_layers=3, dim=768) if theirs.get("add_adapter") else {}),
    }


def _read_adapter(theirs: Mapping[str, Any], *, num_layers: int, dim: int) -> dict[str, Any]:
    """Sizes of a convolutional adapter; the arguments are transformers' defaults."""
    width = theirs.get("output_hidden_size")
    return {
        "adapter_layers": theirs.get("num_adapter_layers", num_layers),
        "adapter_kernel": theirs.get("adapter_kernel_size", 3),
        "adapter_stride": theirs.get("adapter_stride", 2),
        "adapter_dim": None if width == theirs.get("hidden_size", dim) else width,
    }


def _write_adapter(config: WaveformTransformerConfig | Wav2Vec2ConformerConfig | W2vBERT2Config) -> dict[str, Any]:
    return {
        "add_adapter": config.adapter_layers > 0,
        "num_adapter_layers": max(1, config.adapter_layers),
        "adapter_kernel_size": config.adapter_kernel,
        "adapter_stride": config.adapter_stride,
        "output_hidden_size": config.adapter_dim or config.dim,
    }


def _write_waveform(config: WaveformTransformerConfig) -> dict[str, Any]:
    adapted = config.attention_adapter_dim
    return {
        "conv_bias": config.conv_bias,
        "num_feat_extract_layers": len(config.conv_channels),
        **({} if adapted is None else {"adapter_attn_dim": adapted}),
        **(_write_adapter(config) if config.adapter_layers else {}),
    }


def _read_data2vec(theirs: Mapping[str, Any], preprocessor: Mapping[str, Any], source: object) -> dict[str, Any]:
    """Read settings as data2vec's classes do, whatever config.json says: a norm after each convolution and sublayer."""
    norms = {"feat_extract_norm": "layer", "do_stable_layer_norm": False}
    return _read_waveform({**theirs, **norms}, preprocessor, source)


def _read_hubert(theirs: Mapping[str, Any], preprocessor: Mapping[str, Any], source: object) -> dict[str, Any]:
    norm = "batch" if theirs.get("conv_pos_batch_norm") else "weight"
    return {**_read_waveform(theirs, preprocessor, source), "position_norm": norm}


def _write_hubert(config: HuBERTConfig) -> dict[str, Any]:
    return {**_write_waveform(config), "conv_pos_batch_norm": config.position_norm == "batch"}


def _waveform_preprocessor(config: WaveformTransformerConfig | Wav2Vec2ConformerConfig | SEWConfig) -> dict[str, Any]:
    epsilon = config.normalize_epsilon
    return {
        "do_normalize": config.normalize,
        **({} if epsilon == TRANSFORMERS_EPSILON else {NORMALIZE_EPSILON: epsilon}),
        "feature_size": 1,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": config.extractor_norm == "layer",
        "sampling_rate": config.sampling_rate,
    }


def _write_sew(config: SEWConfig) -> dict[str, Any]:
    return {"conv_bias": config.conv_bias, "num_feat_extract_layers": len(config.conv_channels)}


def _read_conformer(theirs: Mapping[str, Any], preprocessor: Mapping[str, Any], source: object) -> dict[str, Any]:
    known = {"swish": "swish", "silu": "swish", "gelu": "gelu", "relu": "relu"}
    activation, positions = theirs.get("hidden_act", "gelu"), theirs.get("position_embeddings_type", "relative")
    if not isinstance(activation, str) or activation not in known:
        raise UnsupportedCheckpoint(
            f"{source}: config.json says hidden_act={activation!r}, which sonant's Conformers do not have. "
            f"Known are {', '.join(known)}."
        )
    if positions not in ("relative", "rotary", None):
        raise UnsupportedCheckpoint(
            f"{source}: config.json says position_embeddings_type={positions!r}; known are 'relative', 'rotary' and "
            "null. A model of type 'wav2vec2-bert' has other positions, and another model_type."
        )
    others = {"activation": known[activation], "positions": positions}
    return _read_waveform(theirs, preprocessor, source) | others


def _write_conformer(config: Wav2Vec2ConformerConfig) -> dict[str, Any]:
    return {
        "conv_bias": config.conv_bias,
        "num_feat_extract_layers": len(config.conv_channels),
        "hidden_act": config.activation,
        "position_embeddings_type": config.positions,
        "num_conv_pos_embeddings": 128,  # of a convolution that the class makes and does not use; it must be possible
        "num_conv_pos_embedding_groups": gcd(16, config.dim),
        **(_write_adapter(config) if config.adapter_layers else {}),
    }


def _rotary_frequencies(config: Wav2Vec2ConformerConfig) -> dict[str, Tensor]:
    if config.positions != "rotary":
        return {}
    return {"encoder.embed_positions.inv_freq": rotary_frequencies(config.dim // config.num_heads, config.rotary_base)}


def _read_w2v_bert2(theirs: Mapping[str, Any], preprocessor: Mapping[str, Any], source: object) -> dict[str, Any]:
    """Bins and frames that lie in one step; without a preprocessor as published, two frames a step."""
    width, stack = theirs.get("feature_projection_input_dim", 160), preprocessor.get("stride", 2)
    if type(width) is not int or type(stack) is not int or stack < 1 or width % stack:
        raise CorruptedCheckpoint(
            f"{source}: the model takes feature_projection_input_dim={width!r} numbers a step, which are not "
            f"stride={stack!r} frames of the preprocessor. The two files do not belong together."
        )
    bins = preprocessor.get("num_mel_bins", width // stack)
    if bins != width // stack:
        raise UnsupportedCheckpoint(
            f"{source}: the preprocessor makes num_mel_bins={bins!r} and puts {stack} frames together; the model "
            f"takes {width} numbers a step. Check that both files come from the same download."
        )
    adapter = _read_adapter(theirs, num_layers=1, dim=1024) if theirs.get("add_adapter") else {}
    return {"num_bins": bins, "stack": stack, **adapter}


def _write_w2v_bert2(config: W2vBERT2Config) -> dict[str, Any]:
    return {
        "feature_projection_input_dim": config.num_bins * config.stack,
        **_write_adapter(config),
    }


def _w2v_bert2_preprocessor(config: W2vBERT2Config) -> dict[str, Any]:
    return {
        "feature_size": config.num_bins,
        "num_mel_bins": config.num_bins,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": True,
        "sampling_rate": config.sampling_rate,
        "stride": config.stack,
    }


def _waveform(
    family: str,
    settings: Settings,
    classes: Mapping[str | None, str],
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
        read=_read_waveform,
        write=_write_waveform,
        preprocessor=_waveform_preprocessor,
        under_adapter=under_adapter,
        beside_backbone=beside_backbone,
    )


LAYOUTS: dict[str, Layout] = {
    "wavlm": _waveform(
        "wavlm",
        WAVLM,
        {
            None: "WavLMModel",
            "ctc": "WavLMForCTC",
            "sequence_classification": "WavLMForSequenceClassification",
            "speech_classification": "WavLMForSpeechClassification",
            "frame_classification": "WavLMForAudioFrameClassification",
            "xvector": "WavLMForXVector",
        },
        required=(*NO_ATTENTION_ADAPTERS, *NO_PARTS_OF_HUBERT),
        under_adapter=("sequence_classification", "frame_classification"),
    ),
    "hubert": replace(
        _waveform(
            "hubert",
            HUBERT,
            {
                None: "HubertModel",
                "ctc": "HubertForCTC",
                "sequence_classification": "HubertForSequenceClassification",
                "speech_classification": "HubertForSpeechClassification",
                "pretraining": "HubertModelWithFinalProj",
            },
            required=NO_CONV_ADAPTER,
            beside_backbone=("pretraining",),
        ),
        pretraining=HF_FINAL_PROJECTION,
        read=_read_hubert,
        write=_write_hubert,
    ),
    "wav2vec2": _waveform(
        "wav2vec2",
        WAVEFORM,
        {
            None: "Wav2Vec2Model",
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
    ),
    "wav2vec2_conformer": Layout(
        model_type="wav2vec2-conformer",
        prefix="wav2vec2_conformer.",
        rows=HF_CONFORMER,
        settings=CONFORMER,
        required=CONFORMER_REQUIRED,
        classes={
            None: "Wav2Vec2ConformerModel",
            "ctc": "Wav2Vec2ConformerForCTC",
            "sequence_classification": "Wav2Vec2ConformerForSequenceClassification",
            "frame_classification": "Wav2Vec2ConformerForAudioFrameClassification",
            "xvector": "Wav2Vec2ConformerForXVector",
            "pretraining": "Wav2Vec2ConformerForPreTraining",
        },
        extractor="Wav2Vec2FeatureExtractor",
        read=_read_conformer,
        write=_write_conformer,
        preprocessor=_waveform_preprocessor,
        derived=_rotary_frequencies,
        unused=True,
        under_adapter=("sequence_classification", "frame_classification"),
    ),
    "data2vec": replace(
        _waveform(
            "data2vec_audio",
            DATA2VEC,
            {
                None: "Data2VecAudioModel",
                "ctc": "Data2VecAudioForCTC",
                "sequence_classification": "Data2VecAudioForSequenceClassification",
                "frame_classification": "Data2VecAudioForAudioFrameClassification",
                "xvector": "Data2VecAudioForXVector",
            },
            required=(*NO_ATTENTION_ADAPTERS, *NO_PARTS_OF_HUBERT),
            under_adapter=("sequence_classification", "frame_classification"),
        ),
        model_type="data2vec-audio",
        read=_read_data2vec,
    ),
    "unispeech": replace(
        _waveform(
            "unispeech",
            WAVEFORM,
            {
                None: "UniSpeechModel",
                "ctc": "UniSpeechForCTC",
                "sequence_classification": "UniSpeechForSequenceClassification",
                "pretraining": "UniSpeechForPreTraining",
            },
            required=(*NO_CONV_ADAPTER, *NO_PARTS_OF_HUBERT),
        ),
        pretraining=HF_UNISPEECH,
    ),
    "unispeech_sat": replace(
        _waveform(
            "unispeech_sat",
            WAVEFORM,
            {
                None: "UniSpeechSatModel",
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
    ),
    "sew": Layout(
        model_type="sew",
        prefix="sew.",
        rows=HF_SEW,
        settings=SEW,
        required=SEW_REQUIRED,
        classes={
            None: "SEWModel",
            "ctc": "SEWForCTC",
            "sequence_classification": "SEWForSequenceClassification",
        },
        extractor="Wav2Vec2FeatureExtractor",
        read=_read_waveform,
        write=_write_sew,
        preprocessor=_waveform_preprocessor,
    ),
    "w2v_bert2": Layout(
        model_type="wav2vec2-bert",
        prefix="wav2vec2_bert.",
        rows=HF_W2V_BERT2,
        settings=W2V_BERT2,
        required=W2V_BERT2_REQUIRED,
        classes={
            None: "Wav2Vec2BertModel",
            "ctc": "Wav2Vec2BertForCTC",
            "sequence_classification": "Wav2Vec2BertForSequenceClassification",
            "frame_classification": "Wav2Vec2BertForAudioFrameClassification",
            "xvector": "Wav2Vec2BertForXVector",
        },
        extractor="SeamlessM4TFeatureExtractor",
        read=_read_w2v_bert2,
        write=_write_w2v_bert2,
        preprocessor=_w2v_bert2_preprocessor,
        normalize_from="the family, which normalizes its mel energies",
        under_adapter=("sequence_classification", "frame_classification"),
    ),
}
