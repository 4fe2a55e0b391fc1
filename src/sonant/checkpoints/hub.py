"""Fetches the files of a model on the hub: from the cache where they are there, else over the network."""

import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from huggingface_hub import _CACHED_NO_EXIST, constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from sonant.checkpoints.hf import CONFIG, OPTIONAL, PREPROCESSORS, WEIGHTS, index_of, shards_in
from sonant.errors import CheckpointUnavailable

Get = Callable[[str, str | None], Path]  # file name and commit to a path in the cache


def fetch(repository: str, *, revision: str | None = None, local_files_only: bool = False) -> Path:
    """The folder in the cache that holds one model.

    Args:
        repository: "owner/name".
        revision: branch, tag or commit; None is the main branch.
        local_files_only: never ask the network.

    Raises:
        CheckpointUnavailable: neither in the cache nor on the hub; the message says which of the two failed, and how.
    """

    def get(name: str, commit: str | None) -> Path:
        return Path(hf_hub_download(repository, name, revision=commit, local_files_only=local_files_only))

    try:
        config = get(CONFIG, revision)
        commit = config.parent.name  # from here on, whatever happens to the branch meanwhile
        _get_weights(repository, get, commit)
        _get_preprocessor(repository, get, commit)
        for name in OPTIONAL:
            with suppress(EntryNotFoundError):
                get(name, commit)
    except (HfHubHTTPError, EntryNotFoundError, HFValidationError, OfflineModeIsEnabled) as error:
        message = _explain(repository, revision, error, local_files_only=local_files_only)
        raise CheckpointUnavailable(message) from error
    return config.parent


def _get_weights(repository: str, get: Get, commit: str) -> None:
    last: EntryNotFoundError | None = None
    for name in WEIGHTS:
        for entry in (name, index_of(name)):
            try:
                path = get(entry, commit)
            except EntryNotFoundError as error:
                last = error
                continue
            for shard in shards_in(path) if entry != name else ():
                get(shard, commit)
            return
    if isinstance(last, LocalEntryNotFoundError):
        raise last
    raise CheckpointUnavailable(
        f"{repository} is on the hub and has a {CONFIG}, but no weights that we read ({' or '.join(WEIGHTS)}). "
        "Perhaps it holds only the weights of another framework."
    ) from last


def _get_preprocessor(repository: str, get: Get, commit: str) -> None:
    """Whether waveforms are normalised stands there; where it cannot be asked for, say so."""
    unasked = False
    for name in PREPROCESSORS:
        try:
            get(name, commit)
            return
        except LocalEntryNotFoundError:
            unasked |= try_to_load_from_cache(repository, name, revision=commit) is not _CACHED_NO_EXIST
        except EntryNotFoundError:
            continue
    if unasked:
        warnings.warn(
            f"{PREPROCESSORS[0]} of {repository} is not in the cache and the hub cannot be asked for it. Whether its "
            "waveforms are normalised is taken from the published models of the same kind; say normalize=... if it differs.",
            stacklevel=4,
        )


def _explain(repository: str, revision: str | None, error: Exception, *, local_files_only: bool) -> str:
    at = f" at revision {revision!r}" if revision else ""
    cache = f"The cache ({constants.HF_HUB_CACHE}) does not have it{at}"
    hub = constants.ENDPOINT
    match error:
        case GatedRepoError():
            return (
                f"{repository}{at} is gated: {hub} knows it, but not that you may have it. Accept its terms on its page, "
                "then log in with `hf auth login` or set HF_TOKEN."
            )
        case RepositoryNotFoundError():
            return (
                f"{hub} has no model {repository!r}, or it is private and you are not logged in. {cache}, and no file or "
                "folder of that name exists here. Check the spelling; for a private model set HF_TOKEN."
            )
        case RevisionNotFoundError():
            return f"{repository} is on {hub}, but has no branch, tag or commit {revision!r}. {cache}."
        case HFValidationError():
            return (
                f"{repository!r} is neither a file nor a folder here, nor can it be the name of a model on the hub, which "
                "would be owner/name. Check the path."
            )
        case LocalEntryNotFoundError() if local_files_only or constants.HF_HUB_OFFLINE:
            why = "local_files_only is set" if local_files_only else "HF_HUB_OFFLINE is set"
            return f"{cache}, and the hub was not asked because {why}. Fetch the model once while online."
        case LocalEntryNotFoundError() | OfflineModeIsEnabled():
            cause = error.__cause__ or error
            return (
                f"{cache}, and {hub} cannot be reached ({type(cause).__name__}: {cause}). Check the connection or the proxy; "
                "or copy the model's folder here and give its path."
            )
        case EntryNotFoundError():
            return (
                f"{repository}{at} is on {hub}, but has no {CONFIG}: it is not laid out as transformers does it. Download "
                "the file of weights and give its path."
            )
    return f"{cache}, and {hub} answered with an error ({error}). Try again later."
