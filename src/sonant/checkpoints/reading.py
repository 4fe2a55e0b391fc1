"""The steps that the readers of other toolkits' files share, from a file's tensors to a checkpoint."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sonant.checkpoints.checkpoint import Checkpoint
from sonant.checkpoints.completeness import check
from sonant.checkpoints.parameter_names import HeadMap, NameMap, Translated, make_heads, read
from sonant.checkpoints.unknown_parts import take_out, warn_of
from sonant.checkpoints.wrappers import Unwrapped
from sonant.models import BackboneConfig

FROM_SHAPES = "the shapes of the tensors"  # where a configuration comes from that no file says
FROM_NORM = "the extractor's norm, as in the published models"  # the same, of the normalization of waveforms


@dataclass(frozen=True, eq=False)
class Reading:
    """The tensors of a model under our names, and what remains to be done with them.

    Attributes:
        translated: the tensors.
        rows: the map that the backbone was read by.
        left: full names of the tensors that were left aside.
        source: of the file, for messages.
    """

    translated: Translated
    rows: NameMap
    left: list[str]
    source: object

    @property
    def backbone(self) -> dict[str, Tensor]:
        """The tensors of the backbone."""
        return self.translated.backbone

    @property
    def heads(self) -> dict[str, dict[str, Tensor]]:
        """The tensors of each head."""
        return self.translated.heads

    def checkpoint(
        self,
        config: BackboneConfig,
        *,
        made_by: str,
        heads: Mapping[str, HeadMap],
        known: Mapping[str, dict[str, Any]],
        metadata: dict[str, Any],
        reason: str = "",
        rows: NameMap | None = None,
    ) -> Checkpoint:
        """Check that every tensor is there and in its shape, and warn of those that were left aside.

        Args:
            config: the model that the tensors are to be.
            made_by: the format, as in `Checkpoint`.
            heads: the maps of whole heads.
            known: metadata of each head.
            metadata: of the checkpoint.
            reason: why tensors were left aside, where it is not that sonant does not know them.
            rows: the map for messages, where it is not the one that was read by.

        Raises:
            CheckpointMismatch: tensors are missing, left over or of another shape.
        """
        check(self.translated, config, source=self.source, rows=rows or self.rows, heads=heads)
        warn_of(self.left, self.source, reason)
        return Checkpoint(config, self.backbone, make_heads(self.translated, known), made_by, metadata)


def translate(
    found: Unwrapped,
    tensors: Mapping[str, Tensor],
    rows: NameMap,
    heads: Mapping[str, HeadMap],
    *,
    source: object,
    within: Collection[str] = (),
    dropped: Collection[str] = (),
) -> Reading:
    """Translate the tensors of a model that was found in a file.

    Args:
        found: the place of the model in the file.
        tensors: its tensors, without the prefix of a class with a head.
        rows, heads: maps of the backbone, and of the heads that it may have.
        within: names that had that prefix, see `take_out`.
        dropped: names that were left aside before.
    """
    translated = read(tensors, rows, heads)
    return Reading(translated, rows, found.left([*dropped, *take_out(translated, rows, within=within)]), source)
