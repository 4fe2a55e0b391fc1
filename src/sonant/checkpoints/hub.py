"""Fetching of models on the hub, from the cache or over the network."""

import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from huggingface_hub import (
    _CACHED_NO_EXIST,
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from sonant.checkpoints.folder import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    CONFIG,
    EXTRA_HEADS,
    PREPROCESSORS,
    WEIGHTS,
    index_of,
)
from sonant.checkpoints.hf_folder import shards_in
from sonant.checkpoints.tokenizer_files import PIECES, TOKENIZER_FILES, VOCABULARY
from sonant.errors import CheckpointError, CheckpointUnavailable

Get = Callable[[str], Path]  # name of a file to its path in the cache


def fetch(repository: str, *, revision: str | None = None, local_files_only: bool = False) -> Path:
    """Fetch a model and return its folder in the cache.

    One request checks for a newer version; if the hub cannot be reached, the cached version is used.

    Args:
        repository: "owner/name".
        revision: branch, tag or commit; None: the main branch.
        local_files_only: do not use the network.

    Raises:
        CheckpointUnavailable: neither in the cache nor on the hub; the message gives the cause.
    """
    if repository.count("/") != 1:
        raise CheckpointUnavailable(
            f"{repository!r} is neither a file nor a folder here, nor the name of a model on the hub, which would be "
            "owner/name. Check the path."
        )
    first, trouble = CONFIG, None if local_files_only else _ask(repository, CONFIG, revision)
    if isinstance(trouble, EntryNotFoundError) and _ask(repository, ADAPTER_CONFIG, revision) is None:
        first, trouble = ADAPTER_CONFIG, None
    offline = local_files_only or trouble is not None
    if offline and not _is_cached(repository, CONFIG, revision) and _is_cached(repository, ADAPTER_CONFIG, revision):
        first = ADAPTER_CONFIG
    try:
        config = Path(hf_hub_download(repository, first, revision=revision, local_files_only=offline))
        commit = config.parent.name  # of all other files, even if the branch moves meanwhile

        def get(name: str) -> Path:
            return Path(hf_hub_download(repository, name, revision=commit, local_files_only=offline))

        if first == ADAPTER_CONFIG:
            _get_adapter(repository, get)
        else:
            _get_weights(repository, get)
            _get_preprocessor(repository, get, commit)
        _get_tokenizer(get)
        for name in (*PREPROCESSORS, EXTRA_HEADS):
            with suppress(EntryNotFoundError):
                get(name)
    except CheckpointError:
        raise
    except Exception as error:  # HTTP libraries raise errors of many types  # noqa: BLE001
        raise CheckpointUnavailable(_explain(repository, revision, trouble or error)) from (trouble or error)
    return config.parent


def fetch_one(repository: str, name: str, *, commit: str, local_files_only: bool = False) -> Path | None:
    """Fetch a further file of a model at a commit; return None if the model has no such file.

    Raises:
        CheckpointUnavailable: not in the cache, and the hub cannot be reached.
    """
    try:
        return Path(hf_hub_download(repository, name, revision=commit, local_files_only=local_files_only))
    except LocalEntryNotFoundError as error:
        if try_to_load_from_cache(repository, name, revision=commit) is _CACHED_NO_EXIST:
            return None
        raise _unfetched(repository, name, error) from error
    except EntryNotFoundError:
        return None
    except Exception as error:  # as in `fetch`
        raise _unfetched(repository, name, error) from error


def _unfetched(repository: str, name: str, error: Exception) -> CheckpointUnavailable:
    return CheckpointUnavailable(
        f"{name} of {repository} is not in the cache of the hub ({constants.HF_HUB_CACHE}), and {constants.ENDPOINT} "
        f"was not to be asked, or does not answer ({type(error).__name__}). Fetch it once while online, by loading the "
        "model with that language."
    )


def _is_cached(repository: str, name: str, revision: str | None) -> bool:
    try:
        return isinstance(try_to_load_from_cache(repository, name, revision=revision), str)
    except HFValidationError:
        return False


def _get_adapter(repository: str, get: Get) -> None:
    """Fetch the weights of a LoRA; its base is another model."""
    for name in ADAPTER_WEIGHTS:
        with suppress(EntryNotFoundError):
            get(name)
            return
    raise CheckpointUnavailable(
        f"{repository} has an {ADAPTER_CONFIG}, but no weights of an adapter ({' or '.join(ADAPTER_WEIGHTS)})."
    )


def _ask(repository: str, name: str, revision: str | None) -> Exception | None:
    """Return the error of requesting a file from the hub, or None; a single attempt, to be fast when offline."""
    try:
        get_hf_file_metadata(hf_hub_url(repository, name, revision=revision))
    except Exception as error:  # as above  # noqa: BLE001
        return error
    return None


def _get_weights(repository: str, get: Get) -> None:
    last: EntryNotFoundError | None = None
    for name in WEIGHTS:
        for entry in (name, index_of(name)):
            try:
                path = get(entry)
            except EntryNotFoundError as error:
                last = error
                continue
            for shard in shards_in(path) if entry != name else ():
                get(shard)
            return
    if isinstance(last, LocalEntryNotFoundError):
        raise last
    raise CheckpointUnavailable(
        f"{repository} is on the hub and has a {CONFIG}, but no weights that we read ({' or '.join(WEIGHTS)}). "
        "Perhaps it holds only the weights of another framework."
    ) from last


def _get_tokenizer(get: Get) -> None:
    """Fetch the tokenizer files, if any; for models without them only two are requested."""
    for name in (VOCABULARY, PIECES):
        with suppress(EntryNotFoundError):
            get(name)
            break
    else:
        return
    for name in TOKENIZER_FILES:
        if name not in (VOCABULARY, PIECES):
            with suppress(EntryNotFoundError):
                get(name)


def _get_preprocessor(repository: str, get: Get, commit: str) -> None:
    """Fetch the preprocessor, which has the waveform normalization; warn if it cannot be requested."""
    unasked = False
    for name in PREPROCESSORS:
        try:
            get(name)
            return
        except LocalEntryNotFoundError:
            unasked |= try_to_load_from_cache(repository, name, revision=commit) is not _CACHED_NO_EXIST
        except EntryNotFoundError:
            continue
    if unasked:
        warnings.warn(
            f"{PREPROCESSORS[0]} of {repository} is not in the cache and the hub cannot be asked for it. Whether its "
            "waveforms are normalized is taken from the published models of the same kind; override it if it differs.",
            stacklevel=4,
        )


def _explain(repository: str, revision: str | None, error: Exception) -> str:
    at = f" at revision {revision!r}" if revision else ""
    tried = (
        f"There is no file or folder {repository} here, and the cache of the hub ({constants.HF_HUB_CACHE}) does not "
        f"have the model{at}"
    )
    hub = constants.ENDPOINT
    match error:
        case GatedRepoError():
            return (
                f"{repository} is gated: {hub} has it, but gives it only to those who accepted its terms. Do so on its "
                "page, then log in with `hf auth login` or set HF_TOKEN."
            )
        case RepositoryNotFoundError():
            return (
                f"{tried}; {hub} knows no such model, or it is private and you are not logged in. Check the spelling; "
                "for a private model set HF_TOKEN."
            )
        case RevisionNotFoundError():
            return f"{tried}; {hub} has the model, but no branch, tag or commit {revision!r}. Check the revision."
        case HFValidationError():
            return (
                f"There is no file or folder {repository} here, and no model on the hub can have that name. Check it."
            )
        case LocalEntryNotFoundError():
            return f"{tried} (whole); the hub was not asked, as you wished. Fetch the model once while online."
        case EntryNotFoundError():
            return (
                f"{repository}{at} is on {hub}, but has no {CONFIG}: it is not laid out as transformers does it. "
                "Download its file of weights and give the path of that."
            )
    if constants.HF_HUB_OFFLINE:
        return (
            f"{tried} (whole); the hub was not asked, because HF_HUB_OFFLINE is set. Fetch the model once while online."
        )
    return (
        f"{tried} (whole); {hub} cannot be reached or does not answer properly ({type(error).__name__}: {error}). "
        "Check the connection and the proxy, or copy the model's folder here and give its path."
    )
