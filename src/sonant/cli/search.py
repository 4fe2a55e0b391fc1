"""`sonant search`: the places of recordings that sound like a recorded query."""

import sys
from pathlib import Path
from typing import Any, Literal

from sonant.cli.options import JobFlags


def search(
    query: str,
    source: str,
    *,
    model: str,
    layer: int | Literal["last"] | None = None,
    top: int = 10,
    per_recording: int = 1,
    index: Path | None = None,
    json: bool = False,
    options: JobFlags,
) -> int:
    """Find where a recorded word or phrase is said, without transcripts, in any language, with any model.

    The answer is a line for each place, nearest first: path, begin and end in seconds, score, and distance. The score
    says by how many standard deviations the recording is nearer than the mean of all; 2 or more is likely the query.
    Of a folder of queries, lines begin with the name of the query. What could not be used is named; the exit code is
    then 1.

    Args:
        query (FILE|FOLDER): a recording of the word or phrase, cut closely; or a folder of several.
        source (FILE|FOLDER|MANIFEST): what to search.
        model (-m ID): a hub id, a folder or a checkpoint file.
        layer (N|last): the hidden state that is compared. Without it: the one for content, see sonant models show.
        top: most places for a query.
        per_recording: most places of one recording.
        index (FOLDER): where the frames of the recordings are kept for later searches. Without it they are computed
            each time.
        json: print JSON lines.

    Examples:
        sonant search harbor.wav talks -m microsoft/wavlm-base-plus
        sonant search words talks -m microsoft/wavlm-base-plus --index talks.frames --top 3 --json
    """
    from dataclasses import asdict

    from sonant.cli.json_output import print_json
    from sonant.data.folders import is_audio
    from sonant.data.folders import search as files_in
    from sonant.errors import AudioNotFound, one_line
    from sonant.extraction.names import complaint

    folder, failed = Path(query), 0
    names = sorted(map(str, files_in(folder, is_audio)[0])) if folder.is_dir() else [query]
    if not names:
        raise AudioNotFound(
            f"The folder of queries {query!r} holds no audio. Put recordings of words or phrases there."
        )

    def complain(name: str, error: Exception) -> None:
        nonlocal failed
        failed += 1
        print(complaint(name, error), file=sys.stderr)

    found: Any = options.load(model).search(
        names if folder.is_dir() else query,
        source,
        layer=layer,
        top=top,
        per_recording=per_recording,
        index=index,
        on_failure=complain,
        **options.keywords(),
    )
    for name, places in zip(names, found if folder.is_dir() else [found], strict=True):
        for place in places:
            if json:
                print_json({"query": name, **asdict(place)})
                continue
            values = (place.start_seconds, place.end_seconds, place.score, place.distance)
            of_channel = [] if place.channel is None else [str(place.channel)]
            line = [one_line(place.path), *of_channel, *(f"{value:.2f}" for value in values)]
            print("\t".join([one_line(name), *line] if folder.is_dir() else line))
    return 1 if failed else 0
