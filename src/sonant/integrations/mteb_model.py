"""Models for mteb, whose benchmark of sound is MAEB: the encoder, and metadata of models.

    import mteb
    from sonant.integrations.mteb_model import MtebEncoder

    model = MtebEncoder("microsoft/wavlm-base-plus", layer=6, pool="mean+std")
    mteb.evaluate(model, mteb.get_benchmark("MAEB(v1, audio-only)").tasks)

Recordings are decoded here, from their files, so that neither torchcodec nor torchaudio is needed, whichever version of
datasets there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonant.api.encoder import SpeechEncoder
from sonant.api.loading import load
from sonant.errors import ConfigurationError, MissingExtra, UnknownName
from sonant.extraction.pooling import Pool
from sonant.inference import Precision
from sonant.integrations.clip_vectors import ClipVectors
from sonant.models.catalog import CATALOG, find

try:
    from mteb.models import ModelMeta
    from mteb.models.abs_encoder import AbsEncoder
except ImportError as error:
    raise MissingExtra("mteb", extra="maeb", purpose="A model for mteb") from error

MTEB_LICENSES = {
    "MIT": "mit", "Apache-2.0": "apache-2.0", "CC BY-NC 4.0": "cc-by-nc-4.0", "CC BY-SA 3.0": "cc-by-sa-3.0",
}  # fmt: skip
USUAL = {"layer": "last", "pool": "mean"}  # as in mteb's own models; names of results leave it out


class MtebEncoder(AbsEncoder):
    """A model that mteb evaluates: a vector for each recording, whole and by itself.

    Args:
        model_name: an argument of `sonant.load`, unless `checkpoint` is given.
        revision: branch, tag or commit of a hub id.
        device: as in `sonant.load`.
        checkpoint: what to load; `ModelMeta.load_model` gives its own name as `model_name`.
        layer, pool, standardizer, window_seconds: see `ClipVectors`.
        precision: as in `sonant.load`.
    """

    def __init__(
        self,
        model_name: str,
        revision: str | None = None,
        *,
        device: str | None = None,
        checkpoint: str | None = None,
        layer: int | str = "last",
        pool: Pool = "mean",
        standardizer: str | None = None,
        window_seconds: float | None = 60.0,
        precision: Precision | None = None,
    ) -> None:
        given = checkpoint or model_name
        asked = revision if revision is None or not revision.startswith("sha256:") else None  # a fingerprint
        self.model = load(given, revision=asked, device=device, precision=precision)
        self.vectors = ClipVectors(
            self.model, layer=layer, pool=pool, standardizer=standardizer, window_seconds=window_seconds
        )
        experiment = _experiment(layer, pool, standardizer)
        facts = _facts(given, self.model) | {"embed_dim": self.vectors.dim}
        self.mteb_model_meta = _meta(facts, given, experiment, asked)

    def encode(self, inputs: Any, *, show_progress_bar: bool = True, **_: Any) -> NDArray[np.float32]:
        """Return vectors (recordings, dim) of a DataLoader whose rows have a recording under "audio".

        Raises ConfigurationError for rows without one, such as texts.
        """
        from torch.utils.data import DataLoader
        from tqdm.auto import tqdm

        rows = _undecoded(inputs.dataset)
        batches = DataLoader(
            rows,
            batch_size=inputs.batch_size or 1,
            num_workers=inputs.num_workers,
            collate_fn=_recordings,
        )
        found = [self.vectors(batch) for batch in tqdm(batches, disable=not show_progress_bar, unit="batches")]
        return np.concatenate(found) if found else self.vectors([])


def model_meta(
    model: str | PathLike[str],
    *,
    layer: int | str = "last",
    pool: Pool = "mean",
    standardizer: str | PathLike[str] | None = None,
    revision: str | None = None,
) -> ModelMeta:
    """Return the metadata of a model of the catalog, of another hub id, or of a local folder or file.

    Its name is sonant/ and that of the model, so that results do not mix with those of mteb's own wrapper; layer,
    pooling and standardizer are part of the experiment's name. `load_model()` of it is a `MtebEncoder`, but mteb wants
    torchaudio installed for that.

    Args:
        model: an argument of `sonant.load`. A model that is not in the catalog is loaded for its facts.
        layer, pool, standardizer: see `ClipVectors`.
        revision: branch, tag or commit of a hub id.
    """
    facts = _facts(str(model), None, revision)
    experiment = _experiment(layer, pool, standardizer)
    return _meta({**facts, "embed_dim": None} if experiment else facts, str(model), experiment, revision)


def catalog_metas(*, layer: int | str = "last", pool: Pool = "mean") -> list[ModelMeta]:
    """Return the metadata of every model of sonant's catalog."""
    return [model_meta(name, layer=layer, pool=pool) for name in CATALOG]


def _experiment(layer: int | str, pool: str, standardizer: str | PathLike[str] | None) -> dict[str, Any] | None:
    """Return what differs from mteb's own models, as the name of the experiment has it."""
    given: dict[str, Any] = {"layer": layer, "pool": pool}
    differs = {name: each for name, each in given.items() if each != USUAL[name]}
    return differs | ({} if standardizer is None else {"standardizer": str(standardizer)}) or None


def _meta(facts: dict[str, Any], checkpoint: str, experiment: dict[str, Any] | None, revision: str | None) -> ModelMeta:
    return ModelMeta(
        loader=MtebEncoder,
        loader_kwargs={"checkpoint": checkpoint},
        experiment_kwargs=experiment,
        max_tokens=float("inf"),
        n_embedding_parameters=0,
        open_weights=True,
        framework=["PyTorch"],
        similarity_fn_name="cosine",
        use_instructions=False,
        public_training_code=None,
        public_training_data=None,
        training_datasets=None,
        release_date=None,
        modalities=["audio"],
        **(facts if revision is None else facts | {"revision": revision}),
    )


def _facts(model: str, encoder: SpeechEncoder | None, revision: str | None = None) -> dict[str, Any]:
    """Return what the catalog knows of a model, or else the model itself, which is loaded if it is not given."""
    try:
        card = None if Path(model).exists() else find(model)
    except UnknownName:
        card = None
    if card is not None:
        on_hub = card.address is None and not card.shipped
        return {
            "name": f"sonant/{card.short_name}",
            "revision": None,
            "embed_dim": card.config.dim,
            "n_parameters": card.parameters,
            "memory_usage_mb": round(4 * card.parameters / 2**20),
            "license": next(
                (each for name, each in MTEB_LICENSES.items() if card.license.startswith(name)), "not specified"
            ),
            "languages": ["eng-Latn"] if card.languages == "English" else None,
            "reference": f"https://huggingface.co/{card.name}" if on_hub else card.paper[1],
            "adapted_from": card.name if on_hub else None,
        }
    encoder = encoder or load(model, revision=revision, device="cpu")
    parameters = sum(each.numel() for each in encoder.model.parameters())
    return {
        "name": f"sonant/{Path(model).resolve().name if Path(model).exists() else model.replace('/', '--')}",
        "revision": encoder.revision,
        "embed_dim": encoder.dim,
        "n_parameters": parameters,
        "memory_usage_mb": round(4 * parameters / 2**20),
        "license": "not specified",
        "languages": None,
    }


def _undecoded(rows: Any) -> Any:
    """Return rows whose recordings are the bytes or paths of files, instead of decoded by datasets."""
    features = getattr(rows, "features", None)
    if features is None or "audio" not in features:
        names = "unknown columns" if features is None else f"the columns {list(features)}"
        raise ConfigurationError(
            f"The task gave rows with {names}; a model of speech encodes recordings, under 'audio'. Leave out tasks "
            "of texts."
        )
    if type(features["audio"]).__name__ != "Audio":
        return rows
    from datasets import Audio

    return rows.cast_column("audio", Audio(decode=False))


def _recordings(rows: Sequence[Any]) -> list[Any]:
    return [row["audio"] for row in rows]
