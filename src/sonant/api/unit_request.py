"""Requests for discrete units of a model."""

from hashlib import sha256
from os import PathLike
from typing import Any, NamedTuple

from torch import Tensor

from sonant.data.files import as_path
from sonant.errors import ConfigurationError
from sonant.extraction.finiteness import are_finite
from sonant.extraction.request import EncodeRequest, Layer, resolve_layers
from sonant.extraction.units import UnitFunction
from sonant.models import Backbone
from sonant.models.backbone import Coder
from sonant.pretraining.kmeans import KMeans


class UnitRequest(NamedTuple):
    """The request of states, the function from their frames to units, and whether units are the model's codes."""

    request: EncodeRequest
    label: UnitFunction
    coded: bool

    def settings(self) -> dict[str, Any]:
        """Return the settings that determine the units, besides model and windows."""
        centers = self.label.centroids if isinstance(self.label, KMeans) else None
        return {
            "units": "codes" if centers is None else f"clusters of sha256:{_digest(centers)}",
            "layer": None if centers is None else self.request.layers[0],
        }


def _digest(tensor: Tensor) -> str:
    return sha256(tensor.detach().cpu().contiguous().numpy().data).hexdigest()[:16]


def unit_request(
    model: Backbone, name: str, kmeans: str | PathLike[str] | KMeans | None, layer: Layer | None, **how: Any
) -> UnitRequest:
    """Return the request for a model called `name`; `how`: fields of `EncodeRequest`. Raises ConfigurationError."""
    if isinstance(model, Coder):
        if kmeans is not None or layer is not None:
            raise ConfigurationError(
                f"{name} has codes of its own, and takes neither kmeans nor layer. Leave them out."
            )
        return UnitRequest(EncodeRequest(**how), Tensor.long, coded=True)
    if kmeans is None or layer is None:
        raise ConfigurationError(
            f"{name} has no quantizer whose codes could be its units. Give cluster centers and the layer that "
            "they were made of: kmeans=PATH (a kmeans.safetensors of pretraining) and layer=NUMBER. A vq-wav2vec "
            "needs neither."
        )
    clusters = kmeans if isinstance(kmeans, KMeans) else KMeans.load(as_path(kmeans, "kmeans, the cluster centers"))
    if not are_finite([clusters.centroids]):
        raise ConfigurationError(
            "The cluster centers hold NaN or infinity, so that no frame is nearest to any of them: they were made of "
            "states that were not finite. Make them again."
        )
    layers, _ = resolve_layers(layer, model.num_layers)
    clusters.check_states(model, layers[0])
    return UnitRequest(EncodeRequest(layers=layers, **how), clusters, coded=False)
