"""Checkpoints of fairseq (pretrained and fine-tuned), unilm (WavLM) and s3prl, which share parameter names."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import Tensor

from sonant.checkpoints.checkpoint import Checkpoint
from sonant.checkpoints.configs import make_config
from sonant.checkpoints.content_vec import SPEAKER_LAYERS, split_content_vec
from sonant.checkpoints.deduce import deduce_config
from sonant.checkpoints.discrete_bert import is_discrete_bert, read_discrete_bert
from sonant.checkpoints.extra_data import KEY, extra_settings, unpack_extra
from sonant.checkpoints.fairseq_config import backbone_settings, waveform_transformer
from sonant.checkpoints.fairseq_dictionary import ctc_metadata, symbols_of
from sonant.checkpoints.fairseq_wav2vec import is_wav2vec, read_wav2vec
from sonant.checkpoints.families import FORMATS, head_maps
from sonant.checkpoints.files import only_tensors
from sonant.checkpoints.name_maps.fairseq import (
    FAIRSEQ,
    FAIRSEQ_BATCH_NORM_POSITIONS,
    FAIRSEQ_CTC,
    FAIRSEQ_GROUP_NORM,
    FAIRSEQ_LAYER_NORM,
    FAIRSEQ_POSITIONS,
    FAIRSEQ_STACKED_POSITIONS,
)
from sonant.checkpoints.parameter_names import HeadMap, NameMap
from sonant.checkpoints.reading import FROM_NORM, FROM_SHAPES, Reading, translate
from sonant.checkpoints.stand_ins import plain
from sonant.checkpoints.wrappers import split_overrides, unwrap
from sonant.errors import CheckpointMismatch, CorruptedCheckpoint, UnknownCheckpoint, UnsupportedCheckpoint
from sonant.models import BackboneConfig, HuBERTConfig

TEACHER = "_ema"
PREFIXES = ("w2v_encoder.w2v_model.", "w2v_encoder.", "w2v_model.")  # of a fine-tuned model, the longest first
# Names of unsupported models that contain the name of a supported one.
NO_FAMILIES = ("data2vec", "vggish", "speech2c", "sat", "wav2vec_seq2seq", "vq_wav2vec")
SAYS_NORMALIZE = {"fairseq": "task.normalize", "unilm": "cfg.normalize", "s3prl": "task_cfg.normalize"}


@dataclass(frozen=True, eq=False)
class _File:
    """The content of a file.

    Attributes:
        made_by: the toolkit that wrote it.
        container: the name of the settings in the file.
        tensors: without the prefixes of a fine-tuned model.
        model, task: settings of the pretrained model, and of its task in fairseq.
        tuned: settings {"model", "task"} of the fine-tuning, if any.
        state: the whole unpickled dict.
    """

    made_by: Literal["fairseq", "unilm", "s3prl"]
    container: str
    tensors: dict[str, Tensor]
    model: dict[str, Any]
    task: dict[str, Any]
    state: Mapping[Any, Any]
    tuned: dict[str, Any] = field(default_factory=dict)

    @property
    def normalize(self) -> bool | None:
        """Return whether waveforms are normalized; None: not specified."""
        parts = (self.tuned.get("task", {}), self.task, self.model, self.tuned.get("model", {}))
        said = next((part["normalize"] for part in parts if part.get("normalize") is not None), None)
        if said is None:
            return False if self.made_by == "unilm" else None
        return bool(said)

    @property
    def dictionaries(self) -> list[Any] | None:
        """The symbols of a HuBERT's pretraining labels, if the file has them."""
        if self.made_by == "s3prl":
            found = plain(self.state.get("dictionaries_symbols"))
            return found if isinstance(found, list) else None
        pickled = self.task_state.get("dictionaries")
        symbols = [symbols_of(entry) for entry in pickled] if isinstance(pickled, list) else []
        return symbols if symbols and all(symbols) else None

    @property
    def task_state(self) -> Mapping[Any, Any]:
        """The pickled state of fairseq's task."""
        found = self.state.get("task_state")
        return found if isinstance(found, Mapping) else {}

    @property
    def family(self) -> str:
        """The key of the family, determined by the names of the model and its tensors."""
        if self.made_by == "unilm" or any(name.endswith(".self_attn.grep_a") for name in self.tensors):
            return "wavlm"
        if self.made_by == "s3prl" and self.state.get("dictionaries_symbols") is not None:
            return "hubert"
        parts = (self.model, self.tuned.get("model", {}))
        names = [str(part.get(key, "")) for part in parts for key in ("_name", "arch")]
        for name in names:
            if name == "data2vec_audio":
                return "data2vec"
            if any(other in name for other in NO_FAMILIES):
                raise UnsupportedCheckpoint(
                    f"The model is called {name!r}; known are wav2vec2, hubert, wavlm, data2vec_audio and their CTC "
                    "models."
                )
        hubert = any("hubert" in name or "contentvec" in name for name in names)
        return "hubert" if hubert or "label_embs_concat" in self.tensors else "wav2vec2"


def is_fairseq(state: Mapping[Any, Any]) -> bool:
    """Return whether `read_fairseq` reads an unpickled dict."""
    return ("model" in state and ("cfg" in state or "args" in state)) or {"model_weight", "model_cfg"} <= state.keys()


def read_fairseq(state: Mapping[Any, Any], source: object, *, overrides: Mapping[str, Any] | None = None) -> Checkpoint:
    """Return a checkpoint from an unpickled dict."""
    file = _opened(state, source)
    if is_discrete_bert(file.tensors):
        return read_discrete_bert(state, file.tensors, file.model, source, overrides=overrides)
    if is_wav2vec(file.tensors):
        container, given = file.container, overrides
        return read_wav2vec(state, file.tensors, file.model, file.task, source, container=container, overrides=given)
    wanted, overrides = split_overrides(overrides)
    toolkit = "wav2vec 2.0, HuBERT or WavLM of fairseq"
    found = unwrap(file.tensors, rows_in(()), inner=PREFIXES, source=source, family=toolkit, wanted=wanted)
    tensors, dropped = split_content_vec(_without_prefix(found.tensors), file.model)
    family = replace(file, tensors=tensors).family
    heads = {} if file.made_by == "unilm" else fairseq_heads(family)
    reading = translate(found, tensors, rows_in(tensors), heads, source=source, dropped=dropped)
    config, config_from = _config(file, family, reading, overrides)
    known = _known(file, family, reading) | unpack_extra(state.get(KEY), reading.translated)
    _require_projection(config, reading)
    settings = file.model if file.made_by == "unilm" else {"model": file.model, "task": file.task, "tuned": file.tuned}
    return reading.checkpoint(
        config,
        made_by=file.made_by,
        heads={**head_maps(family), "ctc": FAIRSEQ_CTC},
        known=known,
        metadata={
            "unilm" if file.made_by == "unilm" else "fairseq": settings,
            "normalize_from": FROM_NORM if file.normalize is None else SAYS_NORMALIZE[file.made_by],
            "config_from": config_from,
        },
        reason=SPEAKER_LAYERS if dropped else "",
        rows=rows_for(config),
    )


def _opened(state: Mapping[Any, Any], source: object) -> _File:
    """Return the content of a file, for any of the toolkits."""
    if "model_weight" in state:
        model, task = plain(state["model_cfg"]), plain(state.get("task_cfg", {}))
        if not isinstance(model, dict) or not isinstance(task, dict):
            raise CorruptedCheckpoint(f"{source}: model_cfg and task_cfg are no sets of settings.")
        return _File("s3prl", "model_cfg", only_tensors(state["model_weight"], source), model, task, state)
    container = "args" if state.get("cfg") is None else "cfg"
    raw = state.get(container)
    if raw is None:
        raise CorruptedCheckpoint(f"{source} has weights, but neither 'cfg' nor 'args' says of which model.")
    config = plain(raw)
    tensors = _without_prefix(only_tensors(_without_teacher(state["model"]), source))
    if not isinstance(config, dict):
        raise CorruptedCheckpoint(f"{source}: its configuration is a {type(config).__name__}, not a set of settings.")
    if container == "args" or "model" in config:
        model, task, tuned = _parts(config)
        return _File("fairseq", container, tensors, model, task, state, tuned)
    if "encoder_layers" not in config:
        raise UnknownCheckpoint(
            f"{source}: its configuration has neither a part 'model' (fairseq) nor the settings of a WavLM (unilm). "
            f"It has {', '.join(map(str, list(config)[:10]))}."
        )
    return _File("unilm", container, tensors, config, {}, state)


def _config(file: _File, family: str, reading: Reading, overrides: Mapping[str, Any]) -> tuple[BackboneConfig, str]:
    """Return the configuration and its source."""
    model, source, aside = file.model, reading.source, extra_settings(file.state.get(KEY))
    if file.tuned and not {"encoder_layers", "encoder_embed_dim"} & model.keys():
        # fine-tuned, without the settings of the pretrained model
        given = aside if file.normalize is None else {**aside, "normalize": file.normalize}
        config = deduce_config(reading.backbone, family=family, source=source, overrides=given | dict(overrides))
        return config, FROM_SHAPES
    settings = backbone_settings(model, source, family=family)
    settings["conv_bias"] = "extractor.layers.0.conv.bias" in reading.backbone
    settings["normalize"] = settings["extractor_norm"] == "layer" if file.normalize is None else file.normalize
    return make_config(family, settings | aside, overrides, source=source), file.container


def _known(file: _File, family: str, reading: Reading) -> dict[str, dict[str, Any]]:
    """Return the metadata of the heads."""
    known: dict[str, dict[str, Any]] = {"pretraining": {}}
    if family == "wav2vec2":
        known["pretraining"] = {"num_codebooks": file.model.get("latent_groups", 2)}
    elif file.dictionaries is not None:
        known["pretraining"] = {"dictionaries": file.dictionaries}
    if "ctc" in reading.heads:
        tokens = file.task_state.get("target_dictionary")
        size = len(reading.heads["ctc"]["weight"])
        known["ctc"] = ctc_metadata(tokens, file.tuned.get("task", {}), reading.source, size=size)
    return known


def _without_teacher(state: Any) -> Any:
    """Return the state dict without data2vec's teacher (the running mean of weights)."""
    if not isinstance(state, Mapping):
        return state
    return {name: value for name, value in state.items() if name != TEACHER}


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    stripped: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), "")
        stripped[name.removeprefix(prefix)] = tensor
    if len(stripped) != len(tensors):
        raise CheckpointMismatch("The file has the same tensor with and without the prefix of a fine-tuned model.")
    return stripped


def _parts(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return settings of the pretrained model, of its task, and {"model", "task"} of the fine-tuning, if any."""
    model = config.get("model", config)  # args: one flat namespace
    task = config.get("task", config)
    if not isinstance(model, dict):
        raise CorruptedCheckpoint("The configuration has no settings of the model.")
    task = task if isinstance(task, dict) else config  # args.task is a word
    if not ("w2v_args" in model or "w2v_path" in model):
        return model, task, {}
    tuned = {"model": {name: value for name, value in model.items() if name != "w2v_args"}, "task": task}
    inner = model.get("w2v_args")
    if not isinstance(inner, dict):
        return {}, {}, tuned
    pretrained, pretraining = inner.get("model", inner), inner.get("task", inner)
    return (
        pretrained if isinstance(pretrained, dict) else inner,
        pretraining if isinstance(pretraining, dict) else inner,
        tuned,
    )


def fairseq_heads(family: str) -> dict[str, HeadMap]:
    """Return the maps of the heads that fairseq supports."""
    pretraining = FORMATS[family].pretraining
    return {"ctc": FAIRSEQ_CTC} | ({} if pretraining is None else {"pretraining": pretraining})


def _require_projection(config: BackboneConfig, reading: Reading) -> None:
    width = waveform_transformer(config).conv_channels[-1]
    if config.dim == width and "projection.linear.weight" not in reading.backbone:
        raise UnsupportedCheckpoint(
            f"{reading.source}: the model is as wide as its last convolution ({config.dim}) and has no projection "
            "between the two (post_extract_proj); sonant's models always have one."
        )


def rows_in(names: Collection[str]) -> NameMap:
    """Return the map for reading: norms of either extractor, and the file's kind of positions."""
    positions = FAIRSEQ_POSITIONS
    if "encoder.pos_conv.0.running_mean" in names:
        positions = FAIRSEQ_BATCH_NORM_POSITIONS
    elif "encoder.pos_conv.0.0.weight" in names:
        positions = FAIRSEQ_STACKED_POSITIONS
    return (*FAIRSEQ, *positions, *FAIRSEQ_GROUP_NORM, *FAIRSEQ_LAYER_NORM)


def rows_for(config: BackboneConfig) -> NameMap:
    """Return the map for writing: norms and positions of this model only."""
    grouped = waveform_transformer(config).extractor_norm == "group"
    batch_norm = isinstance(config, HuBERTConfig) and config.position_norm == "batch"
    return (
        *FAIRSEQ,
        *(FAIRSEQ_BATCH_NORM_POSITIONS if batch_norm else FAIRSEQ_POSITIONS),
        *(FAIRSEQ_GROUP_NORM if grouped else FAIRSEQ_LAYER_NORM),
    )
