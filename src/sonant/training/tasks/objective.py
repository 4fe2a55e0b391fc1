"""Objective of a task: a backbone, the states that are read, and the head of the task."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sonant.checkpoints.language_adapter import layers_of
from sonant.errors import ConfigurationError
from sonant.layers.frame_grid import FrameGrid
from sonant.layers.packed import Packed
from sonant.loss import Loss, Objective
from sonant.models import Backbone, MaskableBackbone
from sonant.tasks import LayerMix
from sonant.training.precision import autocast
from sonant.training.tasks.batches import LabeledBatch, LabeledBatches
from sonant.training.tasks.lora import PARTS, LoRA, add_adapters
from sonant.training.tasks.results import Prediction
from sonant.training.tasks.task import Task

Frozen = Literal["backbone", "extractor", "nothing"]


class TaskObjective(Objective):
    """Loss of a task on labeled speech.

    Attributes:
        trained_parts: ends of the names of the backbone's trained tensors, if most are not trained.
        read_states: states of the backbone that the head reads, as `Backbone.forward` takes them.

    Args:
        backbone: the model; a frozen one is kept in evaluation mode, and so are the batch norms of one with adapters,
            whose running statistics stay as they are. Weights of a frozen model, and of one with adapters, are left
            out of `state_dict`.
        task: settings of the task.
        classes: of the head's outputs.
        weighted: read a sum of all states with learned weights; False: the last state alone.
        single_state: number of the only state with a weight, which is not learned; None: all have weights.
        frozen: part that is not trained; it has no effect with adapters, which are trained in place of all weights.
        adapter: train the adapter of the model's language, and no other weights of the model.
        lora: adapters, which are added to the model in place.
        masks: batches have masks.

    Raises:
        ConfigurationError: the model has a convolutional adapter, cannot be masked or adapted, or its states cannot be
            mixed.
    """

    def __init__(
        self,
        backbone: Backbone,
        task: Task,
        classes: Sequence[str],
        *,
        weighted: bool,
        single_state: int | None = None,
        frozen: Frozen,
        adapter: bool,
        masks: bool,
        lora: LoRA,
    ) -> None:
        super().__init__()
        if getattr(backbone, "adapter", None) is not None:
            raise ConfigurationError(
                "This model has a convolutional adapter behind its encoder (adapter_layers), which heads are not "
                "trained on. Take a model without one."
            )
        if weighted and getattr(backbone.config, "squeeze_factor", 1) > 1:
            raise ConfigurationError(
                "layer=weighted was given, and checkpoints have no place for a sum of the states of a model with "
                "squeezed frames (SEW). Set layer=last, or the number of layers to keep."
            )
        if masks and not isinstance(backbone, MaskableBackbone):
            raise ConfigurationError(
                f"Frames of a {type(backbone).__name__} cannot be masked. Set augmentation.time_fraction=0 and "
                "augmentation.channel_fraction=0."
            )
        self.backbone, self.task, self.classes = backbone, task, classes
        self._is_still = frozen == "backbone" and not lora.rank and not adapter
        self.trained_parts: tuple[str, ...] = PARTS if lora.rank else ()
        layers = backbone.num_layers
        mix = LayerMix(torch.zeros(layers + 1)) if weighted else LayerMix()
        if single_state is not None:
            mix = LayerMix.of_one(layers + 1, single_state)
        self.head: nn.Module = task.head(backbone.dim, classes, mix)  # type: ignore[assignment]  # of a protocol
        self.read_states: tuple[int | str, ...] = (*range(layers), "last") if weighted else ("last",)
        if lora.rank:
            backbone.requires_grad_(requires_grad=False)
            add_adapters(backbone, lora)
        elif adapter:
            self.trained_parts = tuple(layers_of(backbone.state_dict()))
            for name, parameter in backbone.named_parameters():
                parameter.requires_grad_(name in self.trained_parts)
        elif frozen != "nothing":
            (backbone if frozen == "backbone" else backbone.extractor).requires_grad_(requires_grad=False)
        if lora.rank or adapter or frozen == "backbone":
            self.register_state_dict_post_hook(_leave_out_backbone)
            self.register_load_state_dict_post_hook(_keep_backbone)
        if isinstance(backbone, MaskableBackbone) and not masks:
            backbone.mask_embedding.requires_grad = False  # DistributedDataParallel would wait for its gradient

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - the signature of torch
        super().train(mode)
        if self._is_still:
            self.backbone.eval()
        elif self.trained_parts:
            for norm in self.backbone.modules():
                if isinstance(norm, _BatchNorm):
                    norm.eval()
        return self

    def forward(self, batch: LabeledBatch) -> Loss:
        """Return the loss of a batch, and the metrics of the task."""
        return self.task.loss(self.outputs(batch), batch.targets, self.classes, training=self.training)

    def outputs(self, batch: LabeledBatch) -> Any:
        """Compute the outputs of the head."""
        if not self.task.num_sources:
            return self.head(self.states(batch))
        return self.head(
            self.states(batch), batch.speech, FrameGrid(self.backbone.stride, self.backbone.receptive_field)
        )

    def states(self, batch: LabeledBatch) -> Packed:
        """Return the states that the head reads: (total_frames, states, dim)."""
        if batch.states is not None:
            return batch.states.with_values(batch.states.values.float())
        assert batch.speech is not None
        if batch.mask is None:
            encoded = self.backbone(batch.speech, layers=self.read_states)
        else:
            assert isinstance(self.backbone, MaskableBackbone)
            features = self.backbone.features(batch.speech)
            encoded = self.backbone.encode(
                features, mask=batch.mask, masked_channels=batch.masked_channels, layers=self.read_states
            )
        read = [encoded.last if layer == "last" else encoded.hidden_states[layer] for layer in self.read_states]
        return Packed(torch.stack(read, dim=1), encoded.lengths)

    def of_vectors(self, vectors: Tensor) -> dict[str, float]:
        return self.task.of_vectors(vectors)

    def head_tensors(self) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = self.head.tensors()  # type: ignore[operator]
        return tensors

    def head_notes(self) -> dict[str, Any]:
        return {**self.task.notes(self.classes), **getattr(self.head, "settings", {})}


@torch.no_grad()
def predict(
    objective: TaskObjective, batches: LabeledBatches, speakers: Sequence[str | None], *, precision: str
) -> Iterator[Prediction]:
    """Yield the output of each recording of a set, in the order of its batches; `speakers` are those of waveforms."""
    objective.eval()
    device = next(objective.parameters()).device
    for number in range(len(batches)):
        members = [member for member, _ in batches.drawn(number)[0]]
        batch = batches[number].to(device)
        with autocast(device, precision):
            outputs = objective.task.predicted(objective.outputs(batch))
        for member, output, target in zip(members, outputs, batch.targets, strict=True):
            yield Prediction(output.cpu(), target.cpu(), speakers[member], objective.backbone.sampling_rate)


def _leave_out_backbone(objective: TaskObjective, state: dict[str, Tensor], prefix: str, _: Any) -> None:
    kept = objective.trained_parts
    for name in [name for name in state if name.startswith(f"{prefix}backbone.") and not name.endswith(kept)]:
        del state[name]


def _keep_backbone(objective: TaskObjective, incompatible: Any) -> None:
    """Allow a state without the weights of the backbone that are not trained."""
    missing, kept = incompatible.missing_keys, objective.trained_parts
    missing[:] = [name for name in missing if not name.startswith("backbone.") or name.endswith(kept)]
