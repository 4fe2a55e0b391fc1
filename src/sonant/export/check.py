"""Comparison of a graph with the model that it was made from."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.errors import ExportError, NonFiniteStates
from sonant.export.padded_head import LOGITS, ExportableHead, expected_logits, layer_of, states_of
from sonant.inference.modules import shared_copy
from sonant.layers.packed import Packed
from sonant.models import Backbone
from sonant.models.backbone import Coder

Graph = Callable[[Tensor, Tensor], dict[str, Tensor]]  # waveforms (batch, samples), lengths (batch,) to named outputs

BATCHES_SECONDS = ((0.0,), (1.0,), (0.37, 2.5, 0.0), (1.503, 0.8))  # 0: the shortest clip that has a frame
SEED = 0
LARGEST_DIFFERENCE = 1e-3  # of float32
LOWEST_COSINE = 0.995  # of int8
FEWEST_EQUAL_CODES = 0.99  # ties between two code vectors are decided by rounding


@dataclass(frozen=True)
class Agreement:
    """The agreement of a graph with the packed model on noise: clips of several lengths, alone and in batches.

    Attributes:
        largest_difference: of any number of any state, over the root mean square of that state.
        lowest_cosine: between the two versions of a frame, over all frames of all states.
        equal_codes: share of the frames whose codes are the same; 1 for models without codes. Clips with another code
            are left out of the other two numbers: all their frames differ.
        clips: number of clips compared.
    """

    largest_difference: float
    lowest_cosine: float
    equal_codes: float
    clips: int

    def demand(self, *, int8: bool) -> None:
        """Raise ExportError if the graph is not accurate enough."""
        if self.equal_codes < FEWEST_EQUAL_CODES:
            raise ExportError(
                f"The graph finds other codes than the model in {1 - self.equal_codes:.1%} of the frames; at most "
                f"{1 - FEWEST_EQUAL_CODES:.0%} may be lost to rounding. It was not kept; please report it."
            )
        if int8 and self.lowest_cosine < LOWEST_COSINE:
            raise ExportError(
                f"In int8, frames turn away from those of the model as far as a cosine of {self.lowest_cosine:.4f}; at "
                f"least {LOWEST_COSINE} is asked for. The graph was not kept: export this model without int8."
            )
        if not int8 and not self.largest_difference <= LARGEST_DIFFERENCE:
            raise ExportError(
                f"The graph's numbers differ from the model's by {self.largest_difference:.2g} of a state's root mean "
                f"square; at most {LARGEST_DIFFERENCE:g} is allowed. It was not kept; please report it."
            )


@torch.inference_mode()
def compare(graph: Graph, backbone: Backbone, head: ExportableHead | None = None, *, normalize: bool) -> Agreement:
    """Compare graph and model on noise of varying loudness; the padding after a clip is noise, too.

    Args:
        head: whose logits the graph gives too.
        normalize: whether the graph normalizes waveforms.
    """
    backbone = shared_copy(backbone, torch.float32, torch.device("cpu"))  # like the weights of the graph
    generator = torch.Generator().manual_seed(SEED)
    differences, cosines, alike, clips = [torch.zeros(())], [torch.ones(())], [], 0
    for seconds in BATCHES_SECONDS:
        lengths = [max(round(each * backbone.sampling_rate), backbone.receptive_field) for each in seconds]
        time = torch.arange(max(lengths))
        loudness = 0.02 + 0.1 * torch.sin(time / 1500).square()
        waveforms = torch.randn(len(lengths), len(time), generator=generator) * loudness + 0.01
        speech = [row[:length] for row, length in zip(waveforms.clone(), lengths, strict=True)]
        if not normalize:
            for row, clip in zip(waveforms, speech, strict=True):
                row[: len(clip)] = backbone.normalized(Packed.pack([clip])).values
        outputs = _by_clip(graph(waveforms, torch.tensor(lengths)))
        expected = _expected(backbone, head, Packed.pack(speech), outputs[0].keys())
        _require_finite(expected)
        for ours, theirs in zip(outputs, expected, strict=True):
            if "codes" in ours:
                alike.append((ours.pop("codes") == theirs["codes"]).all(1))  # (frames,)
                if not alike[-1].all():
                    continue
            clips += 1
            for name, state in ours.items():
                size = theirs[name].square().mean().sqrt().clamp(min=1e-12)
                differences.append((state - theirs[name]).abs().max() / size)
                if name != LOGITS:
                    cosines.append(F.cosine_similarity(state, theirs[name]).min())
    equal = float(torch.cat(alike).float().mean()) if alike else 1.0
    return Agreement(float(torch.stack(differences).max()), float(torch.stack(cosines).min()), equal, clips)


def _by_clip(outputs: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return the true frames of each clip, or its one row of logits, by the name of the output."""
    frames = outputs.pop("frames").tolist()
    return [
        {name: rows[row, :count] if rows.ndim > 2 else rows[row, None] for name, rows in outputs.items()}
        for row, count in enumerate(frames)
    ]


def _expected(
    backbone: Backbone, head: ExportableHead | None, speech: Packed, names: Collection[str]
) -> list[dict[str, Tensor]]:
    """Return the same for the packed model and its head."""
    read = [] if head is None else states_of(head)
    layers = {name: layer_of(name) for name in (*names, *read) if name not in ("codes", LOGITS)}
    encoded = backbone(speech, layers=layers.values())
    every = {name: encoded.last if layer == "last" else encoded.hidden_states[layer] for name, layer in layers.items()}
    states = {name: every[name] for name in names if name in every}
    if "codes" in names and isinstance(backbone, Coder):
        states["codes"] = backbone.codes(speech).values
    clips = {name: list(Packed(values, encoded.lengths).unpack()) for name, values in states.items()}
    if head is not None:
        clips[LOGITS] = expected_logits(head, [every[name] for name in read], encoded.lengths)
    return [{name: rows[row] for name, rows in clips.items()} for row in range(len(speech))]


def _require_finite(clips: list[dict[str, Tensor]]) -> None:
    for name in sorted({name for states in clips for name, state in states.items() if not state.isfinite().all()}):
        raise NonFiniteStates(
            f"The output {name} of the model is not finite, even for noise: its weights hold NaN, infinity or numbers "
            "that are too large, as those of a damaged file or of training that diverged. No graph was kept."
        )
