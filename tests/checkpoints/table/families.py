"""Families beside WavLM, HuBERT, wav2vec 2.0 and w2v-BERT 2.0."""

import torch

from tests.checkpoints import tiny
from tests.checkpoints.table.case import Case, Made, states_of
from tests.checkpoints.table.folders import HEADS

CONFORMER_HEADS = HEADS


def conformer(kind="Model", **settings):
    """A tiny wav2vec 2.0 Conformer of transformers with random weights and running statistics."""
    import transformers

    transformers.logging.disable_progress_bar()
    known = {"hidden_act": "swish", "conv_bias": True, "feat_extract_norm": "layer", "conv_depthwise_kernel_size": 5}
    config = transformers.Wav2Vec2ConformerConfig(**tiny.HF_SIZES, **known, **settings)
    torch.manual_seed(0)
    model = getattr(transformers, f"Wav2Vec2Conformer{kind}")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.running_mean.normal_(std=0.3)
                module.running_var.uniform_(0.5, 1.5)
    return model


def _conformer(kind, positions="relative"):
    def make(folder):
        theirs = conformer(kind, position_embeddings_type=positions)
        theirs.save_pretrained(folder)
        return Made(source=folder, reference=states_of(theirs))

    name = f"Wav2Vec2Conformer{kind}"
    words = f"{positions} positions" if positions else "no positions"
    return Case(layout=f"`{name}`, {words}", make=make, heads=(*CONFORMER_HEADS[kind], "unused"), parity=name)


CLASSES = {
    "unispeech": ("Model", "ForCTC", "ForSequenceClassification", "ForPreTraining"),
    "unispeech_sat": tuple(HEADS),
}


def _class(family, kind, norm="group"):
    def make(folder):
        theirs = tiny.theirs(family, kind, norm)
        theirs.save_pretrained(folder)
        return Made(source=folder, reference=states_of(theirs))

    name = f"{tiny.FURTHER[family]}{kind}"
    return Case(layout=f"`{name}`, {norm} norm", make=make, heads=HEADS[kind], parity=name)


CASES: tuple[Case, ...] = (
    *(_conformer(kind) for kind in CONFORMER_HEADS),
    _conformer("Model", "rotary"),
    _conformer("ForCTC", "rotary"),
    _conformer("Model", None),
    *(
        case
        for family, kinds in CLASSES.items()
        for case in (_class(family, "Model", "layer"), *(_class(family, kind) for kind in kinds))
    ),
)
