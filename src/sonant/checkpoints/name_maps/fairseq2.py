"""Parameter names of fairseq2. Sources: seamless_communication `models/conformer_shaw/loader.py`; `models/wav2vec2`."""

from sonant.checkpoints.name_maps.fairseq import SHAW, SHAW_UNUSED
from sonant.checkpoints.parameter_names import HeadMap, NameMap, Row

_BLOCK = "encoder.layers.{i}."
FAIRSEQ2_W2V_BERT2: NameMap = (
    Row("mask_embedding", "masker.temporal_mask_embed"),
    Row("projection.norm.{p}", "encoder_frontend.post_extract_layer_norm.{p}"),
    Row("projection.linear.{p}", "encoder_frontend.model_dim_proj.{p}"),
    *SHAW,
    Row(_BLOCK + "attention.output.{p}", _BLOCK + "self_attn.output_proj.{p}"),
    Row(_BLOCK + "attention.relative_keys.weight", _BLOCK + "self_attn.sdpa.rel_k_embed.weight"),
    *(
        row
        for n in "12"
        for row in (
            Row(_BLOCK + f"feed_forward_{n}_norm.{{p}}", _BLOCK + f"ffn{n}_layer_norm.{{p}}"),
            Row(_BLOCK + f"feed_forward_{n}.inner.{{p}}", _BLOCK + f"ffn{n}.inner_proj.{{p}}"),
            Row(_BLOCK + f"feed_forward_{n}.outer.{{p}}", _BLOCK + f"ffn{n}.output_proj.{{p}}"),
        )
    ),
    Row(_BLOCK + "conv.norm.{p}", _BLOCK + "conv_layer_norm.{p}"),
    Row(_BLOCK + "conv.inner.weight", _BLOCK + "conv.pointwise_conv1.weight", form="pointwise"),
    Row(_BLOCK + "conv.depthwise.weight", _BLOCK + "conv.depthwise_conv.weight"),
    Row(_BLOCK + "conv.depthwise_norm.{p}", _BLOCK + "conv.layer_norm.{p}"),
    Row(_BLOCK + "conv.outer.weight", _BLOCK + "conv.pointwise_conv2.weight", form="pointwise"),
    Row(_BLOCK + "norm.{p}", _BLOCK + "layer_norm.{p}"),
)
_FAIRSEQ2_CONTRAST: NameMap = (
    Row("quantizer.codebook", "quantizer.entries"),
    Row("quantizer.projections.0.{p}", "quantizer.entry_proj.{p}"),
    Row("target_projection.{p}", "final_target_proj.{p}"),
    Row("projection.{p}", "final_proj.{p}"),
)
FAIRSEQ2_W2V_BERT2_CONTRAST = HeadMap(
    (*_FAIRSEQ2_CONTRAST, Row("quantizer.num_updates", "quantizer.num_updates"), *SHAW_UNUSED),
    optional=("code_head.{p}", "encoder_norm.{p}", "quantizer.num_updates"),
)

# fairseq2's wav2vec 2.0, omniASR among them. The last norm lies behind the layers or, as in our models, before them.
FAIRSEQ2_WAV2VEC2: NameMap = (
    Row("mask_embedding", "masker.temporal_mask_embed"),
    Row("extractor.layers.{i}.conv.{p}", "encoder_frontend.feature_extractor.layers.{i}.conv.{p}"),
    Row("extractor.layers.{i}.norm.{p}", "encoder_frontend.feature_extractor.layers.{i}.layer_norm.{p}"),
    Row("extractor.layers.{i}.norm.{p}", "encoder_frontend.feature_extractor.layers.{i}.group_norm.{p}"),
    Row("projection.norm.{p}", "encoder_frontend.post_extract_layer_norm.{p}"),
    Row("projection.linear.{p}", "encoder_frontend.model_dim_proj.{p}"),
    Row("encoder.positions.weight_g", "encoder_frontend.pos_encoder.conv.weight_g"),
    Row("encoder.positions.weight_v", "encoder_frontend.pos_encoder.conv.weight_v"),
    Row("encoder.positions.weight", "encoder_frontend.pos_encoder.conv.weight"),
    Row("encoder.positions.bias", "encoder_frontend.pos_encoder.conv.bias"),
    Row("encoder.norm.{p}", "encoder.layer_norm.{p}"),
    Row("encoder.norm.{p}", "encoder_frontend.layer_norm.{p}"),
    Row("encoder.layers.{i}.attention.query.{p}", "encoder.layers.{i}.self_attn.q_proj.{p}"),
    Row("encoder.layers.{i}.attention.key.{p}", "encoder.layers.{i}.self_attn.k_proj.{p}"),
    Row("encoder.layers.{i}.attention.value.{p}", "encoder.layers.{i}.self_attn.v_proj.{p}"),
    Row("encoder.layers.{i}.attention.output.{p}", "encoder.layers.{i}.self_attn.output_proj.{p}"),
    Row("encoder.layers.{i}.attention_norm.{p}", "encoder.layers.{i}.self_attn_layer_norm.{p}"),
    Row("encoder.layers.{i}.feed_forward.inner.{p}", "encoder.layers.{i}.ffn.inner_proj.{p}"),
    Row("encoder.layers.{i}.feed_forward.outer.{p}", "encoder.layers.{i}.ffn.output_proj.{p}"),
    Row("encoder.layers.{i}.feed_forward_norm.{p}", "encoder.layers.{i}.ffn_layer_norm.{p}"),
)
FAIRSEQ2_CONTRAST = HeadMap(_FAIRSEQ2_CONTRAST)
FAIRSEQ2_CTC = HeadMap((Row("{p}", "final_proj.{p}"),))
