"""The form that every reader returns and every writer takes: a configuration, tensors under our names, and heads."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from sonant.models import Backbone, BackboneConfig
from sonant.models.families import build, family_of

if TYPE_CHECKING:
    from sonant.checkpoints.languages import Languages

MASK = "mask_embedding"  # the only tensor that a file may lack: it serves training alone
UNUSED = "unused"  # the kind of head that is no head: tensors that belong to a file, and to no computation
CheckpointFormat = Literal["hf", "sonant", "unilm", "fairseq", "torchaudio"]


@dataclass(frozen=True, eq=False)
class Head:
    """A trained part on top of a backbone, named by its key in `Checkpoint.heads`.

    Tensors by kind; (r) marks those that only some files have:

        ctc                       weight (tokens, dim), bias
        sequence_classification   layer_weights (r), projector.{weight,bias}, classifier.{weight,bias}
        speech_classification     classifier.{dense,output}.{weight,bias}
        age_gender                {age,gender}.{dense,output}.{weight,bias}
        frame_classification      layer_weights (r), classifier.{weight,bias}
        xvector                   layer_weights (r), projector.*, time_delay.{i}.*, embedding.*, classifier.*, objective
        pretraining               as the published models of the family have it, or whatever another objective needs:
          wav2vec, vq-wav2vec     steps.weight (dim, dim, 1, steps), steps.bias (dim)
          wav2vec 2.0, Conformer  quantizer.codebook, quantizer.projections.0.*, target_projection.*, projection.*
          UniSpeech               quantizer.*, target_projection.*, hidden_projection.*, ctc_head.*
          UniSpeech-SAT           as wav2vec 2.0, speaker_projection.*, label_embeddings, extractor_norm.*
          data2vec                projection.* (dim, dim)
          HuBERT, WavLM           projection.* (r), label_embeddings (labels, final_dim) (r)
          w2v-BERT 2.0            as wav2vec 2.0, code_head.* (r), encoder_norm.* (r), which the model does not use
        unused                    no head: positions.{weight_g,weight_v,bias} of a Conformer of transformers, whose
                                  class has this convolution and never computes with it; kept to be written back

    `metadata` is plain data (JSON can hold it): `labels` and `problem_type` of a classifier, `pooling_mode` of one
    with a hidden layer, `tdnn_kernel` and `tdnn_dilation`, `num_codebooks` of a quantizer, `offset` of a wav2vec,
    `dictionaries` of a HuBERT. Of a CTC head: `vocabulary` (the tokens by number, "" for none), `language` (where the
    files have vocabularies of several), `blank`, `tokenizer` (what tokenizer_config.json says), `tokenizer_files` (the
    files that these came from, by name, which are written back) and `unusable` (why there is no vocabulary).
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model outside any module.

    Attributes:
        config: the backbone's; whether waveforms are normalized is part of it.
        backbone_state: tensors under the names of `sonant.models`. `mask_embedding` is missing where the file has none
            (torchaudio never keeps it; some speech recognizers have dropped it).
        heads: by kind, see `Head`.
        format: the format it came in: "hf", "unilm", "fairseq", "fairseq2", "s3prl", "torchaudio" or "sonant".
        metadata: "normalize_from" and "config_from" say how sure the configuration is; a key named like the format
            holds the settings that only that format knows, which its writer puts back.
        languages: of a model with adapters by language (MMS); the tensors and the CTC head are those of one of them.
    """

    config: BackboneConfig
    backbone_state: dict[str, Tensor]
    heads: dict[str, Head] = field(default_factory=dict)
    format: str = "sonant"
    metadata: dict[str, Any] = field(default_factory=dict)
    languages: "Languages | None" = None

    @property
    def normalize(self) -> bool:
        """Return whether each waveform must be given with zero mean and unit variance."""
        return self.config.normalize

    @property
    def family(self) -> str:
        """The key of its family."""
        return family_of(self.config).key


class _ShapesOnly(TorchFunctionMode):
    """A mode that skips filling fresh tensors, for which torch loads its compiler on the meta device (1 to 3 s)."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in (Tensor.normal_, Tensor.uniform_) or getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        if func in (torch.rand, torch.randn):
            kwargs.pop("generator", None)
            return torch.empty(*args, **kwargs)
        if func in (Tensor.mul, Tensor.__mul__, Tensor.__rmul__) and not isinstance(args[1], Tensor):
            return args[0]
        if func is Tensor.norm and isinstance(kwargs.get("dim"), tuple) and kwargs.get("keepdim"):
            over = {axis % args[0].ndim for axis in kwargs["dim"]}
            return torch.empty([1 if axis in over else size for axis, size in enumerate(args[0].shape)])
        return func(*args, **kwargs)


def hollow(config: BackboneConfig) -> Backbone:
    """A model without values, on the meta device: it takes no memory."""
    with torch.device("meta"), _ShapesOnly():
        return build(config)


def shapes_of(config: BackboneConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor that a model of this configuration has, by name."""
    return {name: tuple(tensor.shape) for name, tensor in hollow(config).state_dict().items()}


def own_storage(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the same values as a file needs them: each tensor contiguous, on the CPU and alone in its memory."""
    taken: set[int] = set()
    owned = {}
    for name, tensor in tensors.items():
        value = tensor.detach().cpu()
        storage = value.untyped_storage()
        alone = value.is_contiguous() and storage.nbytes() == value.nbytes and storage.data_ptr() not in taken
        owned[name] = value if alone else value.clone(memory_format=torch.contiguous_format)
        taken.add(owned[name].untyped_storage().data_ptr())
    return owned


def differing(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> list[str]:
    """The names that only one side has, or whose tensors differ in type, shape or any bit."""
    return sorted(name for name in left.keys() | right.keys() if not _same(left.get(name), right.get(name)))


def _same(left: Tensor | None, right: Tensor | None) -> bool:
    if left is None or right is None or left.dtype != right.dtype or left.shape != right.shape:
        return False
    left, right = (tensor.detach().contiguous().reshape(-1).view(torch.uint8) for tensor in (left, right))
    return torch.equal(left, right)  # bytes: NaN equals itself, and -0.0 is not 0.0
