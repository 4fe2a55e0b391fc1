"""The checkpoint of a model, independent of file formats: configuration, tensors under sonant's names, heads."""

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

MASK = "mask_embedding"  # the only tensor that may be missing: it is used in training alone
UNUSED = "unused"  # tensors that are kept for saving but used in no computation
CheckpointFormat = Literal["hf", "sonant", "unilm", "fairseq", "torchaudio"]


@dataclass(frozen=True, eq=False)
class Head:
    """A head of a backbone; its kind is its key in `Checkpoint.heads`.

    Tensors by kind; (r) marks optional ones:

        ctc                       weight (tokens, dim), bias, layer_weights, lstm.* (r; sonant alone has them)
        sequence_classification   layer_weights (r), projector.{weight,bias}, classifier.{weight,bias},
                                  attention.{weight,bias,context} (r; sonant alone has this pooling)
        speech_classification     classifier.{dense,output}.{weight,bias}
        age_gender                {age,gender}.{dense,output}.{weight,bias}
        frame_classification      layer_weights (r), classifier.{weight,bias}, lstm.* (r; sonant alone has it)
        seq2seq                   layer_weights (r), adapter.*, writer.*, ctc.* (r), see `sonant.tasks.Seq2SeqHead`;
                                  for sonant alone
        enhancement, separation   layer_weights (r), lstm.*, output.*, norm.* (r), see `sonant.tasks.MaskHead`; for
                                  sonant alone
        xvector                   layer_weights (r), projector.*, time_delay.{i}.*, embedding.*, classifier.*, objective
                                  or, of an ECAPA-TDNN, for sonant alone: layer_weights (r), ecapa.*, objective
        pretraining               as in the family's published models, or as another objective needs:
          wav2vec, vq-wav2vec     steps.weight (dim, dim, 1, steps), steps.bias (dim)
          wav2vec 2.0, Conformer  quantizer.codebook, quantizer.projections.0.*, target_projection.*, projection.*
          UniSpeech               quantizer.*, target_projection.*, hidden_projection.*, ctc_head.*
          UniSpeech-SAT           as wav2vec 2.0, speaker_projection.*, label_embeddings, extractor_norm.*
          data2vec                projection.* (dim, dim)
          HuBERT, WavLM           projection.* (r), label_embeddings (labels, final_dim) (r)
          w2v-BERT 2.0            as wav2vec 2.0, code_head.* (r), encoder_norm.* (r) (unused by the model)
        unused                    positions.{weight_g,weight_v,bias} of a Conformer of transformers, whose class has
                                  this convolution but does not use it

    `metadata` is JSON data: `labels`, `problem_type` and `temperature` of a classifier, `pooling_mode` of one with a
    hidden layer, `frames` (see `sonant.extraction.frame_decisions`), `num_speakers`, `max_at_once`, `threshold` and
    `median_frames` of one of frames, `training` of one that `sonant train` made, `tdnn_kernel` and `tdnn_dilation`,
    or `ecapa_tdnn` (its sizes), of an x-vector head, `num_codebooks` of a quantizer, `offset` of a wav2vec,
    `dictionaries` of a HuBERT. For a CTC head: `vocabulary` (tokens by number, "" for none), `language` (if the
    tokenizer has several), `blank`, `tokenizer` (contents of tokenizer_config.json), `tokenizer_files` (the original
    files, by name), `spelling_files` (others in base64, by name: a sentencepiece model, a lexicon), and `unusable` (the
    reason for a missing vocabulary). A head of sequence to sequence has `vocabulary`, `blank` and `tokenizer` too, its
    sizes `decoder`, `dim` and `num_convs`, `search` (settings of its beam search), and `translates` if it was trained
    on translations. One of enhancement or separation has the sizes of its `network`, and `dim`.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The weights and configuration of a model.

    Attributes:
        config: of the backbone, waveform normalization included.
        backbone_state: tensors under the names of `sonant.models`; `mask_embedding` may be missing.
        heads: by kind, see `Head`.
        format: source format: "hf", "unilm", "fairseq", "fairseq2", "s3prl", "torchaudio" or "sonant".
        metadata: "normalize_from" and "config_from" name the sources of the configuration; a key named like the format
            holds settings of that format alone, for its writer.
        languages: of a model with adapters by language (MMS); tensors and CTC head are those of one language.
    """

    config: BackboneConfig
    backbone_state: dict[str, Tensor]
    heads: dict[str, Head] = field(default_factory=dict)
    format: str = "sonant"
    metadata: dict[str, Any] = field(default_factory=dict)
    languages: "Languages | None" = None

    @property
    def normalize(self) -> bool:
        """Return whether the model normalizes waveforms to zero mean and unit variance."""
        return self.config.normalize

    @property
    def family(self) -> str:
        """The key of its family."""
        return family_of(self.config).key


class _ShapesOnly(TorchFunctionMode):
    """A mode that skips initialization, for which torch loads its compiler on the meta device (1 to 3 s)."""

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


def meta_backbone(config: BackboneConfig) -> Backbone:
    """Return a model on the meta device, which takes no memory."""
    with torch.device("meta"), _ShapesOnly():
        return build(config)


def shapes_of(config: BackboneConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a model, by name."""
    return {name: tuple(tensor.shape) for name, tensor in meta_backbone(config).state_dict().items()}


def own_storage(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return contiguous tensors on the CPU that share no memory, as files need them."""
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
    """Return the names that only one side has, or whose tensors differ in type, shape or any bit."""
    return sorted(name for name in left.keys() | right.keys() if not _same(left.get(name), right.get(name)))


def _same(left: Tensor | None, right: Tensor | None) -> bool:
    if left is None or right is None or left.dtype != right.dtype or left.shape != right.shape:
        return False
    left, right = (tensor.detach().contiguous().reshape(-1).view(torch.uint8) for tensor in (left, right))
    return torch.equal(left, right)  # bytes: NaN equals itself, and -0.0 is not 0.0
