"""The heads of a fine-tuned model as they were loaded, and their modules."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from sonant.checkpoints import Head
from sonant.errors import ConfigurationError, UnknownName
from sonant.extraction.device_copies import DeviceCopies
from sonant.extraction.vocabularies import lack_of
from sonant.models.abilities import ABILITIES, HEADS_FOR, Ability
from sonant.models.identity import digest_of
from sonant.tasks import (
    CTCHead,
    ECAPAHead,
    FrameClassificationHead,
    MaskHead,
    Seq2SeqHead,
    SequenceClassificationHead,
    SpeechClassificationHead,
    XVectorHead,
)
from sonant.tasks.ecapa import SETTINGS as ECAPA_SETTINGS

Module = TypeVar("Module", bound=nn.Module)
RunnableHead = (
    CTCHead
    | Seq2SeqHead
    | XVectorHead
    | ECAPAHead
    | FrameClassificationHead
    | MaskHead
    | SequenceClassificationHead
    | SpeechClassificationHead
)
KINDS = tuple(kind for kinds in HEADS_FOR.values() for kind in kinds)


class Heads:
    """The heads that were loaded with a model, as float32 modules that are built when first needed.

    A module may be trained or changed; its copies on other devices follow its weights.

    Attributes:
        stored: the heads as they were loaded.
    """

    def __init__(self, stored: Mapping[str, Head]) -> None:
        self.stored = dict(stored)
        self._made: dict[str, DeviceCopies[RunnableHead]] = {}

    @property
    def abilities(self) -> tuple[Ability, ...]:
        """Abilities of a model with these heads; transcription needs the vocabulary of the CTC head."""
        usable = {kind for kind, head in self.stored.items() if kind != "ctc" or lack_of(head) is None}
        return tuple(
            ability for ability in ABILITIES if ability == "embeddings" or not usable.isdisjoint(HEADS_FOR[ability])
        )

    @property
    def runnable(self) -> tuple[str, ...]:
        """Kinds of heads that can be run, without those that are only kept for saving."""
        return tuple(kind for kind in self.stored if kind in KINDS)

    @property
    def language(self) -> str | None:
        """The language of the CTC head; None if its tokenizer has no vocabularies by language."""
        head = self.stored.get("ctc")
        return None if head is None else head.metadata.get("language")

    def replace(self, kind: str, head: Head) -> None:
        """Add the head of this kind, or replace it."""
        self.stored[kind] = head
        self._made.pop(kind, None)

    def made(self, kind: str, device: torch.device | None = None) -> RunnableHead:
        """Return the module of a head, moved to a device if one is given."""
        if kind not in self._made:
            self._made[kind] = DeviceCopies(build_head(kind, self.stored[kind]))
        module = self._made[kind].module
        return module if device is None else module.to(device)

    def on(self, device: torch.device, kind: str) -> nn.Module:
        """Return a head on a device: the module itself or a copy."""
        if kind not in self._made:
            self.made(kind, device)
        return self._made[kind].on(device)

    def current(self) -> dict[str, Head]:
        """Return the present heads, for saving; unchanged tensors keep their loaded types and bits."""
        return {
            kind: Head(_merged(head.tensors, self._made[kind].module.tensors()), head.metadata)
            if kind in self._made
            else head
            for kind, head in self.stored.items()
        }

    def fingerprint(self) -> str:
        """Return a short hash of the present weights of the runnable heads."""
        heads = {kind: head for kind, head in self.current().items() if kind in KINDS}
        facts = [
            f"{kind} {sorted(item for item in head.metadata.items() if item[0] != 'spelling_files')!r}"
            for kind, head in sorted(heads.items())
        ]
        return digest_of(
            facts, {f"{kind}.{name}": tensor for kind, head in heads.items() for name, tensor in head.tensors.items()}
        )

    def placing(self, kind: str, _type: type[Module]) -> Callable[[torch.device], Module]:
        """Return `on` for one kind of head, typed; it raises ConfigurationError after the head was replaced."""
        stored = self.stored[kind]

        def on(device: torch.device) -> Module:
            if self.stored[kind] is not stored:
                raise ConfigurationError(
                    "The model was switched to another language while it was asked in the one before. Switch between "
                    "calls, or load the model twice."
                )
            module = self.on(device, kind)
            assert isinstance(module, _type)
            return module

        return on


def _merged(stored: Mapping[str, Tensor], trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the stored tensors, replaced by the trained ones where these differ."""
    merged = dict(stored)
    for name, tensor in trained.items():
        now, before = tensor.detach().cpu(), stored.get(name)
        if before is None or not torch.equal(now, before.to(now.dtype)):
            merged[name] = now.contiguous()
    return merged


def is_ecapa(heads: Heads) -> bool:
    """Return True if the x-vector head is an ECAPA-TDNN."""
    return "xvector" in heads.stored and ECAPA_SETTINGS in heads.stored["xvector"].metadata


def build_head(kind: str, head: Head) -> RunnableHead:
    """Build the module of a checkpoint's head, in evaluation mode and float32."""
    module: RunnableHead
    match kind:
        case "ctc":
            module = CTCHead.from_tensors(head.tensors)
        case "seq2seq":
            module = Seq2SeqHead.from_tensors(head.tensors, head.metadata)
        case "xvector" if ECAPA_SETTINGS in head.metadata:
            module = ECAPAHead.from_tensors(head.tensors, head.metadata)
        case "xvector":
            module = XVectorHead.from_tensors(head.tensors, head.metadata)
        case "enhancement" | "separation":
            module = MaskHead.from_tensors(head.tensors, head.metadata)
        case "frame_classification":
            module = FrameClassificationHead.from_tensors(head.tensors)
        case "sequence_classification":
            module = SequenceClassificationHead.from_tensors(head.tensors)
        case "speech_classification" | "age_gender":
            module = SpeechClassificationHead.from_tensors(head.tensors, head.metadata)
        case _:
            raise UnknownName("head to run", kind, KINDS)
    return module.eval().requires_grad_(requires_grad=False)
