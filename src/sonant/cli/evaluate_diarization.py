"""`sonant evaluate diarization`: error rates of speaker turns."""

from pathlib import Path


def evaluate_diarization(
    reference: Path,
    found: Path,
    *,
    collar: float = 0.0,
    skip_overlap: bool = False,
    uem: Path | None = None,
    json: bool = False,
) -> int:
    """Measure speaker turns against the true ones, both in RTTM.

    Prints the diarization error rate (DER) with a 95 % bootstrap interval over recordings, its three parts, and the
    Jaccard error rate (JER), in percent. Recordings are matched by their names in RTTM; a path that was found counts as
    the name at its end.

    Args:
        reference (RTTM): the true turns.
        found (RTTM|FOLDER): the turns to measure: a file, or a folder of them as sonant diarize writes it.
        collar (SECONDS): left out on either side of each boundary of the reference.
        skip_overlap: leave out where several speak at once in the reference.
        uem (FILE): regions to score; recordings that are not in it are left out.
        json: print all measures, and the DER of each recording, as JSON.

    Examples:
        sonant evaluate diarization test.rttm found.rttm
        sonant evaluate diarization test.rttm turns --collar 0.25 --skip-overlap --json
    """
    from sonant.cli.console import make_console, plain_table, print_parts
    from sonant.cli.json_output import print_json
    from sonant.data.rttm import read_uem
    from sonant.decoding.rttm import read_turns
    from sonant.evaluation.diarization_scores import score_diarization

    files = sorted(found.rglob("*.rttm")) if found.is_dir() else [found]
    turns = {name: each for file in files for name, each in read_turns(file).items()}
    scores = score_diarization(
        read_turns(reference),
        turns,
        collar_seconds=collar,
        skip_overlap=skip_overlap,
        regions=None if uem is None else read_uem(uem),
    )
    if json:
        print_json(scores)
        return 0
    names = {"DER %": "der", "missed": "missed", "false alarm": "false_alarm", "confusion": "confusion", "JER %": "jer"}
    der = scores["der"]
    interval = f"{100 * der['value']:.2f} [{100 * der['low']:.2f}, {100 * der['high']:.2f}]"
    table = plain_table("recordings", *names)
    others = [f"{100 * scores[key]:.2f}" for key in names.values() if key != "der"]
    table.add_row(str(scores["recordings"]), interval, *others)
    print_parts(make_console(), [table])
    return 0
