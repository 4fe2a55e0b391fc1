"""`sonant serve`: models behind an OpenAI-compatible API, with accounts and a web catalog."""

from functools import partial
from pathlib import Path

from sonant.errors import MissingExtra


def serve(
    *,
    host: str | None = None,
    port: int | None = None,
    data: Path | None = None,
    model: list[str] | None = None,
    database: str | None = None,
    anonymous: bool = False,
    trusted_proxy: list[str] | None = None,
    lm: Path | None = None,
    decoder: Path | None = None,
    config: Path | None = None,
    ray: bool = False,
) -> int:
    """Serve models behind the interface that OpenAI's clients speak, with accounts and a web catalog.

    Without any option: the model that comes with sonant, SQLite in a folder, one process. The address and a first admin
    key are printed; the key is also left in `admin_key` in the data folder.

    Args:
        host: to listen on. Without it: 127.0.0.1, this machine alone.
        port (-p PORT): to listen on. Without it: 8000.
        data (FOLDER): for the database and the admin key. Without it: sonant-data.
        model (-m IDS): a model to serve: shipped, a hub id, a folder or a file; several with commas between, or given
            again. Without it: sonant/wavlm-tiny.
        database (URL): such as postgresql+psycopg://user@host/name. Without it: SQLite in the data folder.
        anonymous: serve requests without a key, uncharged: for your own machine.
        trusted_proxy (ADDRESSES): of web servers in front, or their networks, which are believed who asks; several with
            commas between, or given again. Without it: those on this machine.
        lm (FILE): language model for models that write transcripts, as in sonant transcribe.
        decoder (FILE): options of decoding for these models, as sonant tune-decoder writes them. For each model its
            own: `decoders` in the YAML.
        config (-c FILE): YAML with all further settings: devices, limits, prices. What is given here besides wins.
        ray: deploy on Ray Serve, with replicas for each model; needs PostgreSQL.

    Examples:
        sonant serve
        sonant serve --host 0.0.0.0 --model microsoft/wavlm-large --data /srv/sonant
        sonant serve --anonymous --model wavlm-base-plus-sv,my-recognizer
    """
    from sonant.extraction.decoder_options import DecoderOptions
    from sonant.server.settings import read_settings

    decoding = DecoderOptions(decoder=decoder, lm=lm)
    settings = read_settings(
        config,
        decoder=decoding if decoding.given else None,
        host=host,
        port=port,
        data=data,
        models=None if model is None else tuple(model),
        database=database,
        anonymous=anonymous or None,
        trusted_proxies=None if trusted_proxy is None else tuple(trusted_proxy),
    )
    try:
        from sonant.server.ray_serve import run_on_ray
        from sonant.server.run import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("sonant"):
            raise
        package = error.name.partition(".")[0]  # of a package that is not there, a module of it may be named
        raise MissingExtra(package, extra="serve", purpose="sonant serve") from error
    return (run_on_ray if ray else run)(settings, announce=partial(print, flush=True))
