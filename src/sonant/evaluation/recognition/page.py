"""One self-contained page of an evaluation of speech recognition: no scripts, no network, all texts escaped."""

from collections.abc import Callable, Mapping, Sequence

from sonant.decoding.hypotheses import Hypothesis
from sonant.evaluation.bootstrap import PairedComparison
from sonant.evaluation.edits import AlignedPair
from sonant.evaluation.recognition.alternatives import LEGEND, alternatives_table
from sonant.evaluation.recognition.report import RecognitionReport, SystemResult
from sonant.evaluation.recognition.scores import UNITS, Confusion, ErrorRate, Metric
from sonant.pages.html import Markup, document, joined, table, tag
from sonant.pages.style import STYLE

MOST_ROWS = 100  # of a table; results.json has all
MOST_CONFUSIONS = 15
FEW_SPEAKERS = 20
TITLES: dict[Metric, str] = {
    "wer": "Word error rate (WER)",
    "cer": "Character error rate (CER)",
    "per": "Phone error rate (PER)",
    "pfer": "Phone feature error rate (PFER)",
}


def recognition_page(
    report: RecognitionReport,
    *,
    worst: int = 20,
    clips: Mapping[int, str] | None = None,
    alternatives: Mapping[str, Sequence[Sequence[Hypothesis]]] | None = None,
    normalize: Callable[[str], str] = str,
) -> str:
    """Return a page of HTML.

    Args:
        worst: number of recordings with most errors to show.
        clips: data URIs of recordings, by number of the utterance.
        alternatives: of each utterance, found by the beam search of a system, by its name.
        normalize: the normalization of the report's texts, for those of the alternatives.
    """
    shown = report.worst(worst)
    found = {
        number: [
            _alternatives(report, (alternatives or {}).get(each.name), number, normalize) for each in report.systems
        ]
        for number in shown
    }
    names = [system.name for system in report.systems]
    sections = [("totals", "Error rates", _totals(report))]
    if report.comparison:
        sections.append(("comparison", "Comparison of the two systems", _comparison(report)))
    groups = enumerate(report.systems[0].groups)
    sections += [(f"by-{number}", f"By {group}", _group(report, group)) for number, group in groups]
    sections += [
        ("errors", "Most frequent errors", joined(*(_confusions(report, each) for each in report.systems))),
        ("recordings", "Recordings with most errors", _recordings(report, clips or {}, found)),
    ]
    links = [tag("li", tag("a", title, href=f"#{name}")) for name, title, _ in sections]
    title = f"Speech recognition: {' and '.join(names)}"
    return document(
        title,
        STYLE,
        tag("a", "Skip to the results", href="#results", class_="skip"),
        tag("header", tag("h1", title), _about(report), tag("nav", tag("ul", *links), aria_label="Sections")),
        tag(
            "main",
            *(tag("section", tag("h2", text, id=name), content) for name, text, content in sections),
            id="results",
        ),
        tag("footer", tag("h2", "Settings"), _settings(report)),
    )


def _about(report: RecognitionReport) -> Markup:
    seconds = sum(each.seconds or 0.0 for each in report.utterances)
    parts = [f"{len(report.utterances)} recordings"]
    parts += [f"{seconds / 60:.1f} minutes"] if seconds else []
    parts += [f"{report.speakers} speaker{'s' * (report.speakers > 1)}"] if report.speakers else []
    by_speaker = (report.speakers or 0) > 1
    text = f"{', '.join(parts)}. In brackets: 95 % bootstrap intervals, for which "
    text += (
        "speakers are resampled." if by_speaker else "recordings are resampled, as if each had a speaker of its own."
    )
    if by_speaker and (report.speakers or 0) < FEW_SPEAKERS:
        text += f" {report.speakers} speakers are few: the intervals are too narrow."
    return tag("p", text, class_="dim")


def _percent(rate: float | None, *, sign: str = "") -> str:
    if rate is None:
        return "–"
    return f"{100 * rate:{sign}.{1 if abs(rate) >= 0.1 else 2}f}".replace("-", "−")


def _rate(score: ErrorRate, scale: float | None = None) -> Markup:
    """Return a rate with its interval in percent, and a bar of the interval up to `scale`."""
    text = tag("span", f"{_percent(score.rate)} %" if score.rate is not None else "–", class_="rate")
    if score.low is None or score.high is None or score.rate is None:
        return text
    interval = tag("span", f" [{_percent(score.low)}, {_percent(score.high)}]", class_="interval")
    if not scale:
        return joined(text, interval)
    left, rate, right = (100 * min(each / scale, 1.0) for each in (score.low, score.rate, score.high))
    bar = joined(
        tag("i", style=f"left:{left:.1f}%;width:{max(right - left, 1):.1f}%"), tag("b", style=f"left:{rate:.1f}%")
    )
    return joined(text, interval, tag("span", bar, class_="bar", aria_hidden="true"))


def _totals(report: RecognitionReport) -> Markup:
    heads = ["", "Error rate", "Substitutions", "Deletions", "Insertions", "Errors", "Units in references"]
    rows = []
    for metric in report.metrics:
        for system in report.systems:
            score = system.totals[metric]
            counts = score.counts
            name = TITLES[metric] if len(report.systems) == 1 else f"{TITLES[metric]}, {system.name}"
            kinds = ["–"] * 3 if counts is None else [
                str(each) for each in (counts.substitutions, counts.deletions, counts.insertions)
            ]  # fmt: skip
            rows.append([name, _rate(score), *kinds, f"{score.errors:.6g}", str(score.length)])
    return table("All recordings: errors over units of the references", heads, rows)


def _comparison(report: RecognitionReport) -> Markup:
    first, second = (system.name for system in report.systems)
    rows = [
        [
            TITLES[metric],
            joined(
                tag("span", _percent(found.difference, sign="+"), class_="rate"),
                tag("span", f" [{_percent(found.low, sign='+')}, {_percent(found.high, sign='+')}]", class_="interval"),
            ),
            f"{found.p_value:.2g}",
            f"{100 * found.probability_of_improvement:.1f} %",
        ]
        for metric, found in report.comparison.items()
    ]
    metric, found = next(iter(report.comparison.items()))
    heads = ["", "Difference, percentage points", "p value", "Probability of improvement"]
    resampled = report.compared_by
    few = resampled == "recordings" and (report.speakers or 0) > 1
    why = f" {report.speakers} speakers are too few to be exchanged instead." if few else ""
    return joined(
        tag("p", tag("strong", _verdict(found, TITLES[metric], first, second))),
        table(f"{second} compared with {first}", heads, rows),
        tag(
            "p",
            f"The difference is {second} minus {first}. The p value is that of a permutation test which exchanges the "
            f"systems in any of the {found.groups} {resampled} (two-sided); the probability of improvement is the "
            f"share of bootstrap resamples of {resampled} in which {second} has fewer errors.{why}",
            class_="dim",
        ),
    )


def _verdict(found: PairedComparison, title: str, first: str, second: str) -> str:
    if found.p_value >= 0.05 or found.difference == 0:
        return f"{title}: no significant difference between {first} and {second} (p = {found.p_value:.2g})."
    better, worse = (second, first) if found.difference < 0 else (first, second)
    return f"{title}: {better} is better than {worse} (p = {found.p_value:.2g})."


def _group(report: RecognitionReport, group: str) -> Markup:
    values = list(report.systems[0].groups[group])
    metric = report.metrics[0]
    if group != "length":  # the worst first
        values.sort(key=lambda value: -(report.systems[0].groups[group][value][metric].rate or 0.0))
    shown = values[:MOST_ROWS]
    found = [[system.groups[group][value][metric] for system in report.systems] for value in shown]
    scale = max((each.high or each.rate or 0.0 for row in found for each in row), default=0.0)
    names = [metric.upper() if len(report.systems) == 1 else f"{metric.upper()}, {s.name}" for s in report.systems]
    unit = UNITS[metric]
    rows = [
        [value, *(_rate(each, min(scale, 1.0)) for each in row), str(row[0].utterances), str(row[0].length)]
        for value, row in zip(shown, found, strict=True)
    ]
    more = f", the {MOST_ROWS} worst of {len(values)}; results.json has all" if len(values) > MOST_ROWS else ""
    return table(f"{TITLES[metric]} by {group}{more}", [group, *names, "Recordings", f"{unit.capitalize()}s"], rows)


def _confusions(report: RecognitionReport, system: SystemResult) -> Markup:
    unit = UNITS[report.metrics[0]]
    tables = []
    for kind, verb in (("substitution", "substituted"), ("deletion", "deleted"), ("insertion", "inserted")):
        found = system.confusions[kind][:MOST_CONFUSIONS]
        rows = [[_confusion(each), str(each.count), str(each.occurrences)] for each in found]
        heads = [unit.capitalize(), "Times", "In references"]
        caption = f"{unit.capitalize()}s {verb}"
        tables.append(table(caption, heads, rows) if rows else tag("p", f"{caption}: none."))
    heading = tag("h3", system.name) if len(report.systems) > 1 else None
    return joined(heading, tag("div", *tables, class_="columns"))


def _confusion(each: Confusion) -> Markup:
    return _step(AlignedPair(each.reference, each.hypothesis))


def _alternatives(
    report: RecognitionReport,
    found: Sequence[Sequence[Hypothesis]] | None,
    number: int,
    normalize: Callable[[str], str],
) -> Markup | None:
    if not found or not found[number]:
        return None
    texts, unit = [normalize(each.text) for each in found[number]], UNITS[report.metrics[0]]
    return alternatives_table(found[number], texts, report.utterances[number].reference, unit)


def _recordings(
    report: RecognitionReport, clips: Mapping[int, str], alternatives: Mapping[int, Sequence[Markup | None]]
) -> Markup:
    """Return the recordings of `alternatives`, which has a table or nothing for each system."""
    if not alternatives:
        return tag("p", "No recording has an error.")
    unit = UNITS[report.metrics[0]]
    legend = tag(
        "p",
        "In the alignment, ", tag("del", "struck through"), f" is a {unit} of the reference that was not recognized, ",
        tag("ins", "underlined"), f" is a {unit} that was recognized in its place, or without one.",
        class_="dim",
    )  # fmt: skip
    explained = tag("p", LEGEND, class_="dim") if any(map(any, alternatives.values())) else None
    return joined(
        legend,
        explained,
        *(_recording(report, number, clips.get(number), each) for number, each in alternatives.items()),
    )


def _recording(
    report: RecognitionReport, number: int, clip: str | None, alternatives: Sequence[Markup | None]
) -> Markup:
    utterance, metric = report.utterances[number], report.metrics[0]
    about = {"speaker": utterance.speaker, **utterance.fields}
    facts = [f"{utterance.seconds:.1f} s"] if utterance.seconds is not None else []
    facts += [f"{name}: {value}" for name, value in about.items() if value is not None]
    content = [tag("h3", utterance.name), tag("p", " · ".join(facts), class_="dim") if facts else None]
    if clip is not None:
        content.append(tag("audio", controls=True, preload="none", src=clip, aria_label=f"Recording {utterance.name}"))
    for system, texts in zip(report.systems, alternatives, strict=True):
        found = system.errors[metric]
        errors, length = found.errors[number], found.lengths[number]
        text = f"{system.name}: {errors:g} errors, {length:g} {UNITS[metric]}s in the reference"
        space = "" if UNITS[metric] == "character" else " "
        steps = [joined(space if place else None, _step(step)) for place, step in enumerate(system.alignments[number])]
        content += [tag("p", text, class_="system"), tag("p", *steps, class_="alignment", dir="auto"), texts]
    return tag("article", *content)


def _step(step: AlignedPair) -> Markup:
    """Return a step of an alignment; a space that is an error of its own is made visible."""
    reference, hypothesis = ("␣" if each == " " else each for each in step)
    if step.kind == "hit":
        return joined(step.reference)
    deleted = tag("del", reference) if reference is not None else None
    inserted = tag("ins", hypothesis) if hypothesis is not None else None
    return joined(deleted, inserted)


def _settings(report: RecognitionReport) -> Markup:
    items = [part for name, value in report.settings.items() for part in (tag("dt", name), tag("dd", str(value)))]
    return tag("dl", *items)
