"""Parameter names of fairseq, unilm and s3prl.

Sources: unilm `wavlm/WavLM.py`; fairseq `models/wav2vec/wav2vec.py`, `models/wav2vec/wav2vec2.py`,
`models/hubert/hubert.py`, `modules/gumbel_vector_quantizer.py` and `modules/kmeans_vector_quantizer.py`;
seamless_communication `models/conformer_shaw/loader.py`.
"""

from sonant.checkpoints.name_maps.parts import LAYER, PROJECTIONS, attention, batch_norm, conformer_layer, linears
from sonant.checkpoints.parameter_names import HeadMap, NameMap, Row

FAIRSEQ_GROUP_NORM: NameMap = (Row("extractor.layers.{i}.norm.{p}", "feature_extractor.conv_layers.{i}.2.{p}"),)
FAIRSEQ_LAYER_NORM: NameMap = (Row("extractor.layers.{i}.norm.{p}", "feature_extractor.conv_layers.{i}.2.1.{p}"),)
FAIRSEQ: NameMap = (
    Row("mask_embedding", "mask_emb"),
    Row("extractor.layers.{i}.conv.{p}", "feature_extractor.conv_layers.{i}.0.{p}"),
    Row("projection.norm.{p}", "layer_norm.{p}"),
    Row("projection.linear.{p}", "post_extract_proj.{p}"),
    Row("encoder.norm.{p}", "encoder.layer_norm.{p}"),
    Row("encoder.relative_positions.weight", "encoder.layers.0.self_attn.relative_attention_bias.weight"),
    *attention(LAYER + "attention.", LAYER + "self_attn."),
    Row("encoder.layers.{i}.attention.gate.linear.{p}", "encoder.layers.{i}.self_attn.grep_linear.{p}"),
    Row("encoder.layers.{i}.attention.gate.scale", "encoder.layers.{i}.self_attn.grep_a", form="heads"),
    *linears(
        LAYER,
        LAYER,
        {
            "attention_norm": "self_attn_layer_norm",
            "feed_forward.inner": "fc1",
            "feed_forward.outer": "fc2",
            "feed_forward_norm": "final_layer_norm",
        },
    ),
)

# The positional convolution: with weight norm, with it folded, or after a batch norm.
FAIRSEQ_POSITIONS: NameMap = (
    Row("encoder.positions.weight_g", "encoder.pos_conv.0.weight_g"),
    Row("encoder.positions.weight_v", "encoder.pos_conv.0.weight_v"),
    Row("encoder.positions.weight_g", "encoder.pos_conv.0.parametrizations.weight.original0", writes=False),
    Row("encoder.positions.weight_v", "encoder.pos_conv.0.parametrizations.weight.original1", writes=False),
    Row("encoder.positions.weight", "encoder.pos_conv.0.weight"),
    Row("encoder.positions.bias", "encoder.pos_conv.0.bias"),
)
FAIRSEQ_BATCH_NORM_POSITIONS: NameMap = (
    *batch_norm("encoder.positions.norm.", "encoder.pos_conv.0."),
    Row("encoder.positions.{p}", "encoder.pos_conv.1.{p}"),
)

FAIRSEQ_STACKED_POSITIONS: NameMap = (Row("encoder.positions.layers.{i}.{p}", "encoder.pos_conv.{i}.0.{p}"),)

# wav2vec and vq-wav2vec; numbers that are left out belong to dropout, padding and activation.
FAIRSEQ_WAV2VEC: NameMap = (
    Row("extractor.layers.{i}.conv.weight", "feature_extractor.conv_layers.{i}.0.weight"),
    Row("extractor.layers.{i}.norm.{p}", "feature_extractor.conv_layers.{i}.2.{p}"),
    Row("context.layers.{i}.conv.{p}", "feature_aggregator.conv_layers.{i}.1.{p}"),
    Row("context.layers.{i}.norm.{p}", "feature_aggregator.conv_layers.{i}.3.{p}"),
)
FAIRSEQ_KMEANS: NameMap = (
    Row("quantizer.codebook", "vector_quantizer.embedding"),
    Row("quantizer.projection.weight", "vector_quantizer.projection.0.weight"),
    Row("quantizer.norm.{p}", "vector_quantizer.projection.1.{p}"),
)
FAIRSEQ_STEPS = HeadMap(
    (
        Row("steps.weight", "wav2vec_predictions.project_to_steps.weight", form="steps"),
        Row("steps.bias", "wav2vec_predictions.project_to_steps.bias"),
    )
)


def fairseq_gumbel(depth: int) -> NameMap:
    """Return the map of a quantizer with `depth` linear layers before the logits."""
    theirs = "vector_quantizer.weight_proj"
    inner = (Row(f"quantizer.projections.{i}.{{p}}", f"{theirs}.{i}.0.{{p}}") for i in range(depth - 1))
    last = Row(
        f"quantizer.projections.{depth - 1}.{{p}}", f"{theirs}.{depth - 1}.{{p}}" if depth > 1 else f"{theirs}.{{p}}"
    )
    return (Row("quantizer.codebook", "vector_quantizer.vars"), *inner, last)


CONTRAST: NameMap = (
    Row("quantizer.projections.0.{p}", "quantizer.weight_proj.{p}"),
    Row("target_projection.{p}", "project_q.{p}"),
)
FAIRSEQ_CONTRAST = HeadMap(
    (Row("quantizer.codebook", "quantizer.vars"), *CONTRAST, Row("projection.{p}", "final_proj.{p}"))
)
# A fine-tuned HuBERT has label embeddings but no projection.
FAIRSEQ_PREDICTION = HeadMap(
    (Row("projection.{p}", "final_proj.{p}"), Row("label_embeddings", "label_embs_concat")),
    optional=("projection.{p}", "label_embeddings"),
)
FAIRSEQ_CTC = HeadMap((Row("{p}", "proj.{p}"),))


# w2v-BERT 2.0

FAIRSEQ_W2V_BERT2: NameMap = (
    Row("mask_embedding", "mask_emb"),
    Row("projection.norm.{p}", "layer_norm.{p}"),
    Row("projection.linear.{p}", "post_extract_proj.{p}"),
    *conformer_layer(
        feed_forward=(".layer_norm", ".w_1", ".w_2"),
        projections=PROJECTIONS,
        keys="rel_k_embedding",
        conv=("conv_module.layer_norm", "conv_module", "conv_module.layer_norm2"),
        norm="final_layer_norm",
    ),
)
# The norm after the encoder is in the file, but unused.
SHAW_UNUSED: NameMap = (Row("code_head.{p}", "mlm_proj.{p}"), Row("encoder_norm.{p}", "encoder.layer_norm.{p}"))
FAIRSEQ_W2V_BERT2_CONTRAST = HeadMap(
    (*FAIRSEQ_CONTRAST.rows, *SHAW_UNUSED), optional=("code_head.{p}", "encoder_norm.{p}")
)
