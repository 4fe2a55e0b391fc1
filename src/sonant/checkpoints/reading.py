"""Steps that readers of other toolkits' files share, from a file's tensors to a checkpoint."""

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

FROM_SHAPES = "the shapes of the tensors"  # source of a configuration that is in no file
FROM_NORM = "the extractor's norm, as in the published models"  # the same for waveform normalization


@dataclass(frozen=True, eq=False)
class Reading:
    """The translated tensors of a model, before they are checked.

    Attributes:
        translated: tensors under sonant's names.
        rows: map of the backbone.
        left: full names of ignored tensors.
        source: name of the file, for messages.
    """

    translated: Translated
    rows: NameMap
    left: list[str]
    source: object

    @property
    def backbone(self) -> dict[str, Tensor]:
        """Tensors of the backbone."""
        return self.translated.backbone

    @property
    def heads(self) -> dict[str, dict[str, Tensor]]:
        """Tensors of each head."""
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
        """Check that tensors are complete and of the right shapes, warn of ignored ones, and return the checkpoint.

        Args:
            config: the expected model.
            made_by: the format, as in `Checkpoint`.
            heads: maps of complete heads.
            known: metadata of each head.
            metadata: of the checkpoint.
            reason: why tensors are ignored; the default says that sonant does not know them.
            rows: map for messages, if it is not that of the backbone.

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
    """Translate the tensors of a model in a file.

    Args:
        found: the model in the file.
        tensors: its tensors, without the prefix of a class with a head.
        rows, heads: maps of the backbone and of possible heads.
        within: names that had that prefix, see `take_out`.
        dropped: names that were ignored before.
    """
    translated = read(tensors, rows, heads)
    return Reading(translated, rows, found.left([*dropped, *take_out(translated, rows, within=within)]), source)
