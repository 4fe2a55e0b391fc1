"""wav2vec 2.0 in the layout of fairseq2, as omniASR is published."""

import torch

from tests.checkpoints import tiny
from tests.checkpoints.table.case import Case, Made, states_of

DECODER = {
    "llama_decoder.layers.0.self_attn.q_proj.weight": (6, 6),
    "llama_decoder.layer_norm.weight": (6,),
    "text_frontend.weight": (12, 6),
    "lang_embeddings.weight": (3, 6),
    "encoder_proj.weight": (6, 16),
    "encoder_proj.bias": (6,),
    "final_proj.weight": (11, 6),
}


def _in_model(state):
    return {"model": state}


def _in_parallel(state):
    return {"model": {f"module.{name}": tensor for name, tensor in state.items()}}


def _fairseq2(layout, kind="Model", norm="layer", wrap=_in_model, extra=None, **columns):
    def make(folder):
        theirs = tiny.theirs("wav2vec2", kind, norm)
        state = tiny.fairseq2_names(theirs.state_dict(), norm)
        state |= {name: torch.ones(shape) for name, shape in (extra or {}).items()}
        torch.save(wrap(state), folder / "model.pt")
        return Made(source=folder / "model.pt", reference=states_of(theirs), overrides={"num_heads": 2})

    return Case(layout=layout, make=make, parity=f"Wav2Vec2{kind}", **columns)


CASES = (
    _fairseq2("omniASR W2V", "ForPreTraining", extra={"quantizer.num_updates": ()}, heads=("pretraining",)),
    _fairseq2("omniASR CTC", "ForCTC", heads=("ctc",)),
    _fairseq2(
        "omniASR LLM",
        extra=DECODER,
        aside=("`llama_decoder`", "`text_frontend`", "`lang_embeddings`", "`encoder_proj`", "`final_proj`"),
    ),
    _fairseq2("fairseq2, group norm", "ForPreTraining", "group", heads=("pretraining",)),
    _fairseq2("fairseq2, group norm", "ForCTC", "group", heads=("ctc",)),
    _fairseq2("fairseq2, the tensors alone", "ForCTC", wrap=dict, heads=("ctc",)),
    _fairseq2("fairseq2", "ForCTC", wrap=_in_parallel, wrapper="`module.`", heads=("ctc",)),
)
