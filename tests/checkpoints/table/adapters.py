"""Adapters inside the layers and behind the encoder."""

import torch

from sonant.checkpoints import load_checkpoint, make_backbone
from sonant.layers.packed import Packed
from tests import mms
from tests.checkpoints import tiny
from tests.checkpoints.table.case import Case, Made, states_of

BEHIND = {"add_adapter": True, "num_adapter_layers": 2, "output_hidden_size": 12}


def _in_the_layers(family, kind, norm="layer", heads=()):
    def make(folder):
        theirs = tiny.theirs(family, kind, norm, adapter_attn_dim=5)
        theirs.save_pretrained(folder)
        return Made(source=folder, reference=states_of(theirs))

    name = f"{tiny.TRANSFORMERS[family]}{kind}"
    return Case(layout=f"`{name}` with `adapter_attn_dim`", make=make, heads=heads, parity=name)


def _behind(family, kind, heads=()):
    """The output of the adapter is compared too, beside the states."""

    def make(folder):
        theirs = tiny.theirs(family, kind, **BEHIND)
        theirs.save_pretrained(folder)
        states = states_of(theirs)

        def before_the_adapter(waveform):
            return [*(hidden := states(waveform)[:-1]), hidden[-1]]

        def check(checkpoint):
            speech = Packed.pack([torch.randn(9000, generator=torch.Generator().manual_seed(0))])
            backbone = make_backbone(checkpoint)
            with torch.no_grad():
                adapted = backbone.adapted(backbone(speech)).values
            torch.testing.assert_close(adapted, states(backbone.normalized(speech).values)[-1], rtol=1e-4, atol=1e-4)

        return Made(source=folder, reference=before_the_adapter, check=check)

    name = f"{tiny.TRANSFORMERS[family]}{kind}"
    return Case(layout=f"`{name}` with `add_adapter`", make=make, heads=heads, parity=name)


def _mms(words, **how):
    """The adapter of English in the weights, and those of other languages beside them."""

    def make(folder):
        import transformers

        mms.write_mms(folder, **how)
        theirs = transformers.Wav2Vec2ForCTC.from_pretrained(folder).eval()

        def check(checkpoint):
            assert checkpoint.languages.known == tuple(mms.LETTERS)
            theirs.load_adapter("fra")
            head = load_checkpoint(folder, language="fra").heads["ctc"]
            assert torch.equal(head.tensors["weight"], theirs.lm_head.weight)
            theirs.load_adapter("eng")

        return Made(source=folder, reference=states_of(theirs), check=check)

    return Case(layout=words, make=make, heads=("ctc",), parity="Wav2Vec2ForCTC")


CASES: tuple[Case, ...] = (
    _in_the_layers("wav2vec2", "Model"),
    _in_the_layers("hubert", "ForCTC", heads=("ctc",)),
    _mms("MMS: `adapter.LANG.safetensors` and `vocab.json` by language", in_bin=()),
    _mms("MMS: `adapter.LANG.bin`", in_bin=tuple(mms.LETTERS)),
    _behind("wav2vec2", "Model"),
    _behind("wav2vec2", "ForCTC", heads=("ctc",)),
    _behind("wavlm", "ForCTC", heads=("ctc",)),
)
