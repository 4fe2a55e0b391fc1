"""Parameter names of transformers.

Sources: transformers `modeling_wavlm.py`, `modeling_hubert.py`, `modeling_wav2vec2.py`, `modeling_wav2vec2_bert.py`.
"""

from sonant.checkpoints.checkpoint import UNUSED
from sonant.checkpoints.name_maps.fairseq import CONTRAST
from sonant.checkpoints.name_maps.parts import LAYER, attention, batch_norm, conformer_layer, linears
from sonant.checkpoints.parameter_names import HeadMap, NameMap, Row

_FEED_FORWARD = {"inner": "intermediate_dense", "outer": "output_dense"}


def huggingface(encoder: str, projection: str) -> NameMap:
    """Return the rows that transformers and torchaudio share, but for two prefixes."""
    layer = encoder + "layers.{i}."
    return (
        Row("extractor.layers.{i}.conv.{p}", "feature_extractor.conv_layers.{i}.conv.{p}"),
        Row("extractor.layers.{i}.norm.{p}", "feature_extractor.conv_layers.{i}.layer_norm.{p}"),
        Row("projection.norm.{p}", projection + "layer_norm.{p}"),
        Row("projection.linear.{p}", projection + "projection.{p}"),
        Row("encoder.positions.weight_g", encoder + "pos_conv_embed.conv.parametrizations.weight.original0"),
        Row("encoder.positions.weight_v", encoder + "pos_conv_embed.conv.parametrizations.weight.original1"),
        Row("encoder.positions.weight_g", encoder + "pos_conv_embed.conv.weight_g", writes=False),
        Row("encoder.positions.weight_v", encoder + "pos_conv_embed.conv.weight_v", writes=False),
        Row("encoder.positions.{p}", encoder + "pos_conv_embed.conv.{p}"),
        *batch_norm("encoder.positions.norm.", encoder + "pos_conv_embed.batch_norm."),
        Row("encoder.positions.layers.{i}.{p}", encoder + "pos_conv_embed.layers.{i}.conv.{p}"),
        Row("encoder.norm.{p}", encoder + "layer_norm.{p}"),
        Row("encoder.relative_positions.weight", encoder + "layers.0.attention.rel_attn_embed.weight"),
        Row("encoder.layers.{i}.attention.gate.linear.{p}", layer + "attention.gru_rel_pos_linear.{p}"),
        Row("encoder.layers.{i}.attention.gate.scale", layer + "attention.gru_rel_pos_const", form="heads"),
        *linears(LAYER, layer, {"attention_norm": "layer_norm", "feed_forward_norm": "final_layer_norm"}),
        *linears(LAYER + "feed_forward.", layer + "feed_forward.", _FEED_FORWARD),
    )


# transformers' adapters: one after the encoder, and one in each layer.
HF_CONV_ADAPTER: NameMap = (
    Row("adapter.projection.{p}", "adapter.proj.{p}"),
    Row("adapter.projection_norm.{p}", "adapter.proj_layer_norm.{p}"),
    Row("adapter.layers.{i}.conv.{p}", "adapter.layers.{i}.conv.{p}"),
)
HF_ADAPTERS: NameMap = (
    *HF_CONV_ADAPTER,
    *linears(LAYER + "adapter.", LAYER + "adapter_layer.", {"norm": "norm", "inner": "linear_1", "outer": "linear_2"}),
)

HF: NameMap = (
    Row("mask_embedding", "masked_spec_embed"),
    Row("mask_embedding", "mask_time_emb_vector", writes=False),  # the name in transformers 4.3 to 4.5
    *huggingface("encoder.", "feature_projection."),
    *attention(LAYER + "attention.", LAYER + "attention."),
    *HF_ADAPTERS,
)

_LINEAR = ("linear_q", "linear_k", "linear_v", "linear_out")
_ADAPTER = "adapter.layers.{i}."
HF_W2V_BERT2: NameMap = (
    Row("mask_embedding", "masked_spec_embed"),
    Row("projection.norm.{p}", "feature_projection.layer_norm.{p}"),
    Row("projection.linear.{p}", "feature_projection.projection.{p}"),
    *conformer_layer(
        feed_forward=("_layer_norm", ".intermediate_dense", ".output_dense"),
        projections=_LINEAR,
        keys="distance_embedding",
        conv=("conv_module.layer_norm", "conv_module", "conv_module.depthwise_layer_norm"),
        norm="final_layer_norm",
    ),
    *linears("adapter.feed_forward.", "intermediate_ffn.", _FEED_FORWARD),
    *linears("adapter.", "adapter.", {"projection": "proj", "projection_norm": "proj_layer_norm"}),
    *linears(
        _ADAPTER,
        _ADAPTER,
        {
            "residual_norm": "residual_layer_norm",
            "residual_conv": "residual_conv",
            "attention_norm": "self_attn_layer_norm",
            "attention_conv": "self_attn_conv",
            "feed_forward_norm": "ffn_layer_norm",
        },
    ),
    *attention(_ADAPTER + "attention.", _ADAPTER + "self_attn.", _LINEAR),
    *linears(_ADAPTER + "feed_forward.", _ADAPTER + "ffn.", _FEED_FORWARD),
)

HF_CONFORMER: NameMap = (
    Row("mask_embedding", "masked_spec_embed"),
    Row("extractor.layers.{i}.conv.{p}", "feature_extractor.conv_layers.{i}.conv.{p}"),
    Row("extractor.layers.{i}.norm.{p}", "feature_extractor.conv_layers.{i}.layer_norm.{p}"),
    Row("encoder.norm.{p}", "encoder.layer_norm.{p}"),
    *HF_CONV_ADAPTER,
    *(row for row in HF_W2V_BERT2 if not str(row.native).startswith(("adapter.", "mask_", LAYER + "conv.depthwise_"))),
    Row(LAYER + "attention.position.weight", LAYER + "self_attn.linear_pos.weight"),
    Row(LAYER + "attention.content_bias", LAYER + "self_attn.pos_bias_u"),
    Row(LAYER + "attention.position_bias", LAYER + "self_attn.pos_bias_v"),
    *batch_norm(LAYER + "conv.batch_norm.", LAYER + "conv_module.batch_norm."),
)
HF_SEW: NameMap = (
    Row("mask_embedding", "masked_spec_embed"),
    Row("extractor.layers.{i}.conv.{p}", "feature_extractor.conv_layers.{i}.conv.{p}"),
    Row("extractor.layers.{i}.norm.{p}", "feature_extractor.conv_layers.{i}.layer_norm.{p}"),
    Row("projection.norm.{p}", "layer_norm.{p}"),
    Row("projection.linear.{p}", "feature_projection.{p}"),
    *(row for row in HF if str(row.native).startswith("encoder.positions.")),
    Row("encoder.inner.norm.{p}", "encoder.layer_norm.{p}"),
    *(
        Row(f"encoder.inner.{str(row.native).removeprefix('encoder.')}", row.foreign)
        for row in HF
        if row.foreign.startswith(LAYER) and "rel_pos" not in row.foreign
    ),
    Row("encoder.upsample.{p}", "encoder.upsample.projection.{p}"),
)
# The positional convolution that the Conformer's class inherits and does not use.
_UNUSED = "encoder.pos_conv_embed.conv."
HF_UNUSED = HeadMap(
    (
        Row("positions.weight_g", _UNUSED + "parametrizations.weight.original0"),
        Row("positions.weight_v", _UNUSED + "parametrizations.weight.original1"),
        Row("positions.weight_g", _UNUSED + "weight_g", writes=False),
        Row("positions.weight_v", _UNUSED + "weight_v", writes=False),
        Row("positions.bias", _UNUSED + "bias"),
    )
)

_LAYER_MIX: NameMap = (Row("layer_weights", "layer_weights"),)
_CLASSIFIER: NameMap = (Row("classifier.{p}", "classifier.{p}"),)
_PROJECTOR: NameMap = (Row("projector.{p}", "projector.{p}"),)
HF_CTC = HeadMap((Row("{p}", "lm_head.{p}"),))
HF_SEQUENCE = HeadMap((*_LAYER_MIX, *_PROJECTOR, *_CLASSIFIER), optional=("layer_weights",))
HF_FRAMES = HeadMap((*_LAYER_MIX, *_CLASSIFIER), optional=("layer_weights",))
HF_XVECTOR = HeadMap(
    (
        *_LAYER_MIX,
        *_PROJECTOR,
        Row("time_delay.{i}.{p}", "tdnn.{i}.kernel.{p}"),
        Row("embedding.{p}", "feature_extractor.{p}"),
        *_CLASSIFIER,
        Row("objective", "objective.weight"),
    ),
    optional=("layer_weights",),
)
HF_CONTRAST = HeadMap(
    (Row("quantizer.codebook", "quantizer.codevectors"), *CONTRAST, Row("projection.{p}", "project_hid.{p}"))
)


def _hidden_layer(name: str) -> NameMap:
    return (Row(f"{name}.dense.{{p}}", f"{name}.dense.{{p}}"), Row(f"{name}.output.{{p}}", f"{name}.out_proj.{{p}}"))


HF_SPEECH = HeadMap(_hidden_layer("classifier"))
HF_AGE_GENDER = HeadMap((*_hidden_layer("age"), *_hidden_layer("gender")))
HF_FINAL_PROJECTION = HeadMap((Row("projection.{p}", "final_proj.{p}"),))  # of a HuBERT for content features
HF_UNISPEECH = HeadMap(
    (
        Row("quantizer.codebook", "quantizer.codevectors"),
        *CONTRAST,
        Row("hidden_projection.{p}", "project_hid.{p}"),
        Row("ctc_head.{p}", "ctc_proj.{p}"),
    )
)
HF_UNISPEECH_SAT = HeadMap(
    (
        *HF_CONTRAST.rows,
        Row("speaker_projection.{p}", "speaker_proj.{p}"),
        Row("label_embeddings", "label_embeddings_concat"),
        Row("extractor_norm.{p}", "layer_norm_for_extract.{p}"),
    )
)
HF_HEADS: dict[str, HeadMap] = {
    "ctc": HF_CTC,
    "sequence_classification": HF_SEQUENCE,
    "speech_classification": HF_SPEECH,
    "age_gender": HF_AGE_GENDER,
    "frame_classification": HF_FRAMES,
    "xvector": HF_XVECTOR,
    "seq2seq": HeadMap(()),  # no class of transformers has it, nor the next two
    "enhancement": HeadMap(()),
    "separation": HeadMap(()),
    "pretraining": HF_CONTRAST,
    UNUSED: HF_UNUSED,
}
