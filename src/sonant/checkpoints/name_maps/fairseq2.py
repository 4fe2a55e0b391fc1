"""Parameter names of fairseq2. Sources: seamless_communication `models/conformer_shaw/loader.py`; `models/wav2vec2`."""

from sonant.checkpoints.name_maps.fairseq import SHAW_UNUSED
from sonant.checkpoints.name_maps.parts import LAYER, attention, conformer_layer, linears
from sonant.checkpoints.parameter_names import HeadMap, NameMap, Row

_ATTENTION = ("q_proj", "k_proj", "v_proj", "output_proj")
_FRONTEND: NameMap = (
    Row("mask_embedding", "masker.temporal_mask_embed"),
    Row("projection.norm.{p}", "encoder_frontend.post_extract_layer_norm.{p}"),
    Row("projection.linear.{p}", "encoder_frontend.model_dim_proj.{p}"),
)
FAIRSEQ2_W2V_BERT2: NameMap = (
    *_FRONTEND,
    *conformer_layer(
        feed_forward=("_layer_norm", ".inner_proj", ".output_proj"),
        projections=_ATTENTION,
        keys="sdpa.rel_k_embed",
        conv=("conv_layer_norm", "conv", "conv.layer_norm"),
        norm="layer_norm",
    ),
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

# fairseq2's wav2vec 2.0 and omniASR. The last norm is after the layers or, as in sonant, before them.
FAIRSEQ2_WAV2VEC2: NameMap = (
    *_FRONTEND,
    Row("extractor.layers.{i}.conv.{p}", "encoder_frontend.feature_extractor.layers.{i}.conv.{p}"),
    Row("extractor.layers.{i}.norm.{p}", "encoder_frontend.feature_extractor.layers.{i}.layer_norm.{p}"),
    Row("extractor.layers.{i}.norm.{p}", "encoder_frontend.feature_extractor.layers.{i}.group_norm.{p}"),
    Row("encoder.positions.weight_g", "encoder_frontend.pos_encoder.conv.weight_g"),
    Row("encoder.positions.weight_v", "encoder_frontend.pos_encoder.conv.weight_v"),
    Row("encoder.positions.weight", "encoder_frontend.pos_encoder.conv.weight"),
    Row("encoder.positions.bias", "encoder_frontend.pos_encoder.conv.bias"),
    Row("encoder.norm.{p}", "encoder.layer_norm.{p}"),
    Row("encoder.norm.{p}", "encoder_frontend.layer_norm.{p}"),
    *attention(LAYER + "attention.", LAYER + "self_attn.", _ATTENTION),
    *linears(
        LAYER,
        LAYER,
        {
            "attention_norm": "self_attn_layer_norm",
            "feed_forward.inner": "ffn.inner_proj",
            "feed_forward.outer": "ffn.output_proj",
            "feed_forward_norm": "ffn_layer_norm",
        },
    ),
)
FAIRSEQ2_CONTRAST = HeadMap(_FAIRSEQ2_CONTRAST)
FAIRSEQ2_CTC = HeadMap((Row("{p}", "final_proj.{p}"),))
