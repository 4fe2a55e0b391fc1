"""Heads on padded batches: logits of each frame, or of each clip, beside the states of a backbone."""

import json
from collections.abc import Collection, Mapping
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from sonant.inference.padded_backbones import PaddedBackbone, padded
from sonant.layers.packed import Packed
from sonant.models import Backbone
from sonant.tasks import CTCHead, SequenceClassificationHead

LOGITS = "logits"
ExportableHead = CTCHead | SequenceClassificationHead


def is_exportable(head: object) -> TypeGuard[ExportableHead]:
    """Return True for heads that a graph can have: CTC without an LSTM, and labels of whole clips."""
    return isinstance(head, SequenceClassificationHead) or (isinstance(head, CTCHead) and head.lstm is None)


def head_facts(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return what the user of logits must know of the head: the meaning of each number, and of CTC the blank."""
    names = metadata.get("vocabulary") or metadata.get("labels")
    facts = {} if names is None else {"labels": json.dumps(list(names), ensure_ascii=False)}
    return facts | {name: str(metadata[name]) for name in ("blank", "temperature") if metadata.get(name) is not None}


class PaddedWithHead(nn.Module):
    """A backbone on padded batches with a head, whose output "logits" comes first.

    Args:
        backbone: in evaluation mode.
        head: of the backbone.
        layers: the states to return beside the logits, as in `padded`.
        normalize: as in `padded`.
    """

    def __init__(
        self, backbone: Backbone, head: ExportableHead, layers: Collection[int | str] | None, *, normalize: bool
    ) -> None:
        super().__init__()
        keep, last = backbone.wanted(layers)
        shown = {*(f"hidden_states.{number}" for number in keep), *["last"] * last}
        self.reads = states_of(head)
        self.model: PaddedBackbone = padded(backbone, layers=[*keep, *map(layer_of, self.reads)], normalize=normalize)
        self.head = head.float().eval()
        self.normalize, self.normalize_epsilon = self.model.normalize, self.model.normalize_epsilon
        self.receptive_field, self.stride = self.model.receptive_field, self.model.stride
        self.outputs = (LOGITS, *(name for name in self.model.outputs if name in shown or not _is_state(name)))

    def forward(self, waveforms: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """Encode clips as `PaddedBackbone.forward`, and add "logits".

        They are (batch, time, tokens) of a CTC head, undefined after the frames of a clip, and (batch, labels) of a
        head for whole clips.
        """
        found = self.model(waveforms, lengths)
        weights = self.head.mix.weights
        shares = torch.ones(1) if weights is None else weights.softmax(0)
        frames = sum(found[name] * share for name, share in zip(self.reads, shares.unbind(), strict=True))
        assert isinstance(frames, Tensor)
        if isinstance(self.head, SequenceClassificationHead):
            found[LOGITS] = self.head.read(self._pooled(self.head.projector(frames), found["frames"]))
        else:
            found[LOGITS] = self.head.linear(frames)
        return {name: found[name] for name in self.outputs}

    def _pooled(self, frames: Tensor, counts: Tensor) -> Tensor:
        """Pool (batch, time, width) over the first `counts` (batch,) frames to (batch, width)."""
        assert isinstance(self.head, SequenceClassificationHead)
        valid = torch.arange(frames.shape[1]) < counts[:, None]  # (batch, time)
        attention = self.head.attention
        scores = torch.zeros(frames.shape[:2]) if attention is None else attention(frames)
        shares = scores.masked_fill(~valid, -torch.inf).softmax(1)
        return (torch.where(valid[..., None], frames, 0.0) * shares[..., None]).sum(1)


def states_of(head: ExportableHead) -> list[str]:
    """Return the names of the states that a head reads, in its order."""
    return [*(f"hidden_states.{number}" for number in range(head.mix.num_states - 1)), "last"]


def expected_logits(head: ExportableHead, states: list[Tensor], lengths: Tensor) -> list[Tensor]:
    """Return the logits (frames or 1, outputs) of each clip, from packed states (total_frames, dim) in its order."""
    found = head(Packed(torch.stack(states, 1), lengths))
    return list(found.unpack()) if isinstance(found, Packed) else [row[None] for row in found]


def _is_state(name: str) -> bool:
    return name == "last" or name.startswith("hidden_states.")


def layer_of(name: str) -> int | str:
    """Return the layer of an output."""
    return name if name == "last" else int(name.rpartition(".")[2])
