"""Parameter names of transformers.

Sources: transformers `modeling_wavlm.py`, `modeling_hubert.py`, `modeling_wav2vec2.py`, `modeling_wav2vec2_bert.py`.
"""

from sonant.checkpoints.checkpoint import UNUSED
from sonant.checkpoints.name_maps.fairseq import CONTRAST, batch_norm
from sonant.checkpoints.parameter_names import HeadMap, NameMap, Row


def huggingface(encoder: str, projection: str) -> NameMap:
    """transformers and torchaudio agree on most names below the encoder."""
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
        *batch_norm(encoder + "pos_conv_embed.batch_norm."),
        Row("encoder.positions.layers.{i}.{p}", encoder + "pos_conv_embed.layers.{i}.conv.{p}"),
        Row("encoder.norm.{p}", encoder + "layer_norm.{p}"),
        Row("encoder.relative_positions.weight", encoder + "layers.0.attention.rel_attn_embed.weight"),
        Row("encoder.layers.{i}.attention.gate.linear.{p}", layer + "attention.gru_rel_pos_linear.{p}"),
        Row("encoder.layers.{i}.attention.gate.scale", layer + "attention.gru_rel_pos_const", form="heads"),
        Row("encoder.layers.{i}.attention_norm.{p}", layer + "layer_norm.{p}"),
        Row("encoder.layers.{i}.feed_forward.inner.{p}", layer + "feed_forward.intermediate_dense.{p}"),
        Row("encoder.layers.{i}.feed_forward.outer.{p}", layer + "feed_forward.output_dense.{p}"),
        Row("encoder.layers.{i}.feed_forward_norm.{p}", layer + "final_layer_norm.{p}"),
    )


# transformers' adapters: one behind the encoder, and one in each layer.
HF_CONV_ADAPTER: NameMap = (
    Row("adapter.projection.{p}", "adapter.proj.{p}"),
    Row("adapter.projection_norm.{p}", "adapter.proj_layer_norm.{p}"),
    Row("adapter.layers.{i}.conv.{p}", "adapter.layers.{i}.conv.{p}"),
)
HF_ADAPTERS: NameMap = (
    *HF_CONV_ADAPTER,
    Row("encoder.layers.{i}.adapter.norm.{p}", "encoder.layers.{i}.adapter_layer.norm.{p}"),
    Row("encoder.layers.{i}.adapter.inner.{p}", "encoder.layers.{i}.adapter_layer.linear_1.{p}"),
    Row("encoder.layers.{i}.adapter.outer.{p}", "encoder.layers.{i}.adapter_layer.linear_2.{p}"),
)


def attention(encoder: str) -> NameMap:
    theirs = encoder + "layers.{i}.attention."
    return (
        Row("encoder.layers.{i}.attention.query.{p}", theirs + "q_proj.{p}"),
        Row("encoder.layers.{i}.attention.key.{p}", theirs + "k_proj.{p}"),
        Row("encoder.layers.{i}.attention.value.{p}", theirs + "v_proj.{p}"),
        Row("encoder.layers.{i}.attention.output.{p}", theirs + "out_proj.{p}"),
    )


HF: NameMap = (
    Row("mask_embedding", "masked_spec_embed"),
    Row("mask_embedding", "mask_time_emb_vector", writes=False),  # the name in transformers 4.3 to 4.5
    *huggingface("encoder.", "feature_projection."),
    *attention("encoder."),
    *HF_ADAPTERS,
)


def _attention_of_w2v_bert2(ours: str, theirs: str) -> NameMap:
    return (
        Row(ours + "query.{p}", theirs + "linear_q.{p}"),
        Row(ours + "key.{p}", theirs + "linear_k.{p}"),
        Row(ours + "value.{p}", theirs + "linear_v.{p}"),
        Row(ours + "output.{p}", theirs + "linear_out.{p}"),
    )


def _feed_forward_of_w2v_bert2(ours: str, theirs: str) -> NameMap:
    return (
        Row(ours + "inner.{p}", theirs + "intermediate_dense.{p}"),
        Row(ours + "outer.{p}", theirs + "output_dense.{p}"),
    )


_BLOCK, _ADAPTER = "encoder.layers.{i}.", "adapter.layers.{i}."
HF_W2V_BERT2: NameMap = (
    Row("mask_embedding", "masked_spec_embed"),
    Row("projection.norm.{p}", "feature_projection.layer_norm.{p}"),
    Row("projection.linear.{p}", "feature_projection.projection.{p}"),
    Row(_BLOCK + "feed_forward_1_norm.{p}", _BLOCK + "ffn1_layer_norm.{p}"),
    *_feed_forward_of_w2v_bert2(_BLOCK + "feed_forward_1.", _BLOCK + "ffn1."),
    Row(_BLOCK + "attention_norm.{p}", _BLOCK + "self_attn_layer_norm.{p}"),
    *_attention_of_w2v_bert2(_BLOCK + "attention.", _BLOCK + "self_attn."),
    Row(_BLOCK + "attention.relative_keys.weight", _BLOCK + "self_attn.distance_embedding.weight"),
    Row(_BLOCK + "conv.norm.{p}", _BLOCK + "conv_module.layer_norm.{p}"),
    Row(_BLOCK + "conv.inner.weight", _BLOCK + "conv_module.pointwise_conv1.weight", form="pointwise"),
    Row(_BLOCK + "conv.depthwise.weight", _BLOCK + "conv_module.depthwise_conv.weight"),
    Row(_BLOCK + "conv.depthwise_norm.{p}", _BLOCK + "conv_module.depthwise_layer_norm.{p}"),
    Row(_BLOCK + "conv.outer.weight", _BLOCK + "conv_module.pointwise_conv2.weight", form="pointwise"),
    Row(_BLOCK + "feed_forward_2_norm.{p}", _BLOCK + "ffn2_layer_norm.{p}"),
    *_feed_forward_of_w2v_bert2(_BLOCK + "feed_forward_2.", _BLOCK + "ffn2."),
    Row(_BLOCK + "norm.{p}", _BLOCK + "final_layer_norm.{p}"),
    *_feed_forward_of_w2v_bert2("adapter.feed_forward.", "intermediate_ffn."),
    Row("adapter.projection.{p}", "adapter.proj.{p}"),
    Row("adapter.projection_norm.{p}", "adapter.proj_layer_norm.{p}"),
    Row(_ADAPTER + "residual_norm.{p}", _ADAPTER + "residual_layer_norm.{p}"),
    Row(_ADAPTER + "residual_conv.{p}", _ADAPTER + "residual_conv.{p}"),
    Row(_ADAPTER + "attention_norm.{p}", _ADAPTER + "self_attn_layer_norm.{p}"),
    Row(_ADAPTER + "attention_conv.{p}", _ADAPTER + "self_attn_conv.{p}"),
    *_attention_of_w2v_bert2(_ADAPTER + "attention.", _ADAPTER + "self_attn."),
    Row(_ADAPTER + "feed_forward_norm.{p}", _ADAPTER + "ffn_layer_norm.{p}"),
    *_feed_forward_of_w2v_bert2(_ADAPTER + "feed_forward.", _ADAPTER + "ffn."),
)

HF_CONFORMER: NameMap = (
    Row("mask_embedding", "masked_spec_embed"),
    Row("extractor.layers.{i}.conv.{p}", "feature_extractor.conv_layers.{i}.conv.{p}"),
    Row("extractor.layers.{i}.norm.{p}", "feature_extractor.conv_layers.{i}.layer_norm.{p}"),
    Row("encoder.norm.{p}", "encoder.layer_norm.{p}"),
    *HF_CONV_ADAPTER,
    *(row for row in HF_W2V_BERT2 if not str(row.native).startswith(("adapter.", "mask_", _BLOCK + "conv.depthwise_"))),
    Row(_BLOCK + "attention.position.weight", _BLOCK + "self_attn.linear_pos.weight"),
    Row(_BLOCK + "attention.content_bias", _BLOCK + "self_attn.pos_bias_u"),
    Row(_BLOCK + "attention.position_bias", _BLOCK + "self_attn.pos_bias_v"),
    Row(_BLOCK + "conv.batch_norm.{p}", _BLOCK + "conv_module.batch_norm.{p}"),
    *(
        Row(_BLOCK + f"conv.batch_norm.{name}", _BLOCK + f"conv_module.batch_norm.{name}")
        for name in ("running_mean", "running_var", "num_batches_tracked")
    ),
)
_SEW_LAYER = "encoder.layers.{i}."
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
        if row.foreign.startswith(_SEW_LAYER) and "rel_pos" not in row.foreign
    ),
    Row("encoder.upsample.{p}", "encoder.upsample.projection.{p}"),
)
# What the class of the Conformer has and never computes with: the positional convolution of its ancestor.
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
    (
        Row("quantizer.codebook", "quantizer.codevectors"),
        *CONTRAST,
        Row("projection.{p}", "project_hid.{p}"),
    )
)


def _hidden_layer(name: str) -> NameMap:
    return (
        Row(f"{name}.dense.{{p}}", f"{name}.dense.{{p}}"),
        Row(f"{name}.output.{{p}}", f"{name}.out_proj.{{p}}"),
    )


HF_SPEECH = HeadMap(_hidden_layer("classifier"))
HF_AGE_GENDER = HeadMap((*_hidden_layer("age"), *_hidden_layer("gender")))
HF_FINAL_PROJECTION = HeadMap((Row("projection.{p}", "final_proj.{p}"),))  # of a HuBERT that is used for its content
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
    "pretraining": HF_CONTRAST,
    UNUSED: HF_UNUSED,
}
