"""Parameter names of fairseq, unilm and s3prl.

Sources: unilm `wavlm/WavLM.py`; fairseq `models/wav2vec/wav2vec.py`, `models/wav2vec/wav2vec2.py`,
`models/hubert/hubert.py`, `modules/gumbel_vector_quantizer.py` and `modules/kmeans_vector_quantizer.py`;
seamless_communication `models/conformer_shaw/loader.py`.
"""

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
    Row("encoder.layers.{i}.attention.query.{p}", "encoder.layers.{i}.self_attn.q_proj.{p}"),
    Row("encoder.layers.{i}.attention.key.{p}", "encoder.layers.{i}.self_attn.k_proj.{p}"),
    Row("encoder.layers.{i}.attention.value.{p}", "encoder.layers.{i}.self_attn.v_proj.{p}"),
    Row("encoder.layers.{i}.attention.output.{p}", "encoder.layers.{i}.self_attn.out_proj.{p}"),
    Row("encoder.layers.{i}.attention.gate.linear.{p}", "encoder.layers.{i}.self_attn.grep_linear.{p}"),
    Row("encoder.layers.{i}.attention.gate.scale", "encoder.layers.{i}.self_attn.grep_a", form="heads"),
    Row("encoder.layers.{i}.attention_norm.{p}", "encoder.layers.{i}.self_attn_layer_norm.{p}"),
    Row("encoder.layers.{i}.feed_forward.inner.{p}", "encoder.layers.{i}.fc1.{p}"),
    Row("encoder.layers.{i}.feed_forward.outer.{p}", "encoder.layers.{i}.fc2.{p}"),
    Row("encoder.layers.{i}.feed_forward_norm.{p}", "encoder.layers.{i}.final_layer_norm.{p}"),
)


def batch_norm(theirs: str) -> NameMap:
    ours = "encoder.positions.norm."
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return (Row(ours + "{p}", theirs + "{p}"), *(Row(ours + name, theirs + name) for name in statistics))


# The positional convolution: under weight norm, or what is left of it where that was folded; behind a batch norm.
FAIRSEQ_POSITIONS: NameMap = (
    Row("encoder.positions.weight_g", "encoder.pos_conv.0.weight_g"),
    Row("encoder.positions.weight_v", "encoder.pos_conv.0.weight_v"),
    Row("encoder.positions.weight_g", "encoder.pos_conv.0.parametrizations.weight.original0", writes=False),
    Row("encoder.positions.weight_v", "encoder.pos_conv.0.parametrizations.weight.original1", writes=False),
    Row("encoder.positions.weight", "encoder.pos_conv.0.weight"),
    Row("encoder.positions.bias", "encoder.pos_conv.0.bias"),
)
FAIRSEQ_BATCH_NORM_POSITIONS: NameMap = (
    *batch_norm("encoder.pos_conv.0."),
    Row("encoder.positions.{p}", "encoder.pos_conv.1.{p}"),
)

FAIRSEQ_STACKED_POSITIONS: NameMap = (Row("encoder.positions.layers.{i}.{p}", "encoder.pos_conv.{i}.0.{p}"),)

# wav2vec and vq-wav2vec; the numbers between are those of dropout, padding and activation.
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
    """The quantizer with so many linear layers before its logits; each but the last lies beside its activation."""
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
    (
        Row("quantizer.codebook", "quantizer.vars"),
        *CONTRAST,
        Row("projection.{p}", "final_proj.{p}"),
    )
)
# A fine-tuned HuBERT keeps its label embeddings and loses its projection.
FAIRSEQ_PREDICTION = HeadMap(
    (Row("projection.{p}", "final_proj.{p}"), Row("label_embeddings", "label_embs_concat")),
    optional=("projection.{p}", "label_embeddings"),
)
FAIRSEQ_CTC = HeadMap((Row("{p}", "proj.{p}"),))


# w2v-BERT 2.0

_BLOCK = "encoder.layers.{i}."
SHAW: NameMap = (
    Row(_BLOCK + "attention_norm.{p}", _BLOCK + "self_attn_layer_norm.{p}"),
    Row(_BLOCK + "attention.query.{p}", _BLOCK + "self_attn.q_proj.{p}"),
    Row(_BLOCK + "attention.key.{p}", _BLOCK + "self_attn.k_proj.{p}"),
    Row(_BLOCK + "attention.value.{p}", _BLOCK + "self_attn.v_proj.{p}"),
)
FAIRSEQ_W2V_BERT2: NameMap = (
    Row("mask_embedding", "mask_emb"),
    Row("projection.norm.{p}", "layer_norm.{p}"),
    Row("projection.linear.{p}", "post_extract_proj.{p}"),
    *SHAW,
    Row(_BLOCK + "attention.output.{p}", _BLOCK + "self_attn.out_proj.{p}"),
    Row(_BLOCK + "attention.relative_keys.weight", _BLOCK + "self_attn.rel_k_embedding.weight"),
    *(
        row
        for n in "12"
        for row in (
            Row(_BLOCK + f"feed_forward_{n}_norm.{{p}}", _BLOCK + f"ffn{n}.layer_norm.{{p}}"),
            Row(_BLOCK + f"feed_forward_{n}.inner.{{p}}", _BLOCK + f"ffn{n}.w_1.{{p}}"),
            Row(_BLOCK + f"feed_forward_{n}.outer.{{p}}", _BLOCK + f"ffn{n}.w_2.{{p}}"),
        )
    ),
    Row(_BLOCK + "conv.norm.{p}", _BLOCK + "conv_module.layer_norm.{p}"),
    Row(_BLOCK + "conv.inner.weight", _BLOCK + "conv_module.pointwise_conv1.weight", form="pointwise"),
    Row(_BLOCK + "conv.depthwise.weight", _BLOCK + "conv_module.depthwise_conv.weight"),
    Row(_BLOCK + "conv.depthwise_norm.{p}", _BLOCK + "conv_module.layer_norm2.{p}"),
    Row(_BLOCK + "conv.outer.weight", _BLOCK + "conv_module.pointwise_conv2.weight", form="pointwise"),
    Row(_BLOCK + "norm.{p}", _BLOCK + "final_layer_norm.{p}"),
)
# The norm behind the encoder lies in the file, but the model does not use it.
SHAW_UNUSED: NameMap = (Row("code_head.{p}", "mlm_proj.{p}"), Row("encoder_norm.{p}", "encoder.layer_norm.{p}"))
FAIRSEQ_W2V_BERT2_CONTRAST = HeadMap(
    (*FAIRSEQ_CONTRAST.rows, *SHAW_UNUSED), optional=("code_head.{p}", "encoder_norm.{p}")
)
