"""Reports by hand: totals, groups, confusions, the worst recordings, and the comparison of two systems."""

import json

import pytest

from sonant.errors import MeasurementError, UnknownName
from sonant.evaluation.recognition import RecognitionReport, Utterance, evaluate_recognition

UTTERANCES = [
    Utterance(name="a", reference="the cat sat", seconds=1.0, speaker="ada", fields={"gender": "f"}),
    Utterance(name="b", reference="the dog", seconds=3.0, speaker="ada", fields={"gender": "f"}),
    Utterance(name="c", reference="a cat", seconds=30.0, speaker="ben"),
    Utterance(name="d", reference="", speaker="ben", fields={"gender": "m"}),
]
FIRST, SECOND = ["the cat sat", "a dog", "a cat", ""], ["a cat", "a dog", "cat", "the the"]


def report_of(*texts: list[str], **how) -> RecognitionReport:
    return evaluate_recognition(UTTERANCES, dict(zip("xy", texts, strict=False)), **how)


def test_totals_and_groups() -> None:
    (system,) = report_of(SECOND).systems
    wer = system.totals["wer"]
    assert (wer.errors, wer.length, wer.rate, wer.utterances) == (6, 7, 6 / 7, 4)
    assert wer.counts is not None
    assert (wer.counts.hits, wer.counts.substitutions, wer.counts.deletions, wer.counts.insertions) == (3, 2, 2, 2)
    assert wer.low <= wer.rate <= wer.high
    assert {name: list(values) for name, values in system.groups.items()} == {
        "speaker": ["ada", "ben"],
        "length": ["0 to 2 s", "2 to 5 s", "20 s or more", "(none)"],
        "gender": ["(none)", "f", "m"],
    }
    of_ben = system.groups["speaker"]["ben"]["wer"]
    assert (of_ben.errors, of_ben.length) == (3, 2)
    silent = system.groups["gender"]["m"]["wer"]
    assert (silent.rate, silent.low, silent.errors) == (None, None, 2)


def test_a_field_may_be_called_like_a_group_of_ours() -> None:
    utterances = [Utterance(name=each, reference="a", seconds=1, fields={"length": each}) for each in ("long", "short")]
    (system,) = evaluate_recognition(utterances, {"x": ["a", "b"]}).systems
    assert list(system.groups["length"]) == ["long", "short"]


def test_confusions_and_the_worst() -> None:
    report = report_of(FIRST, SECOND)
    found = report.systems[1].confusions
    assert [(each.reference, each.hypothesis, each.count, each.occurrences) for each in found["substitution"]] == [
        ("the", "a", 2, 2)
    ]
    assert [(each.reference, each.count) for each in found["deletion"]] == [("a", 1), ("sat", 1)]
    assert [(each.hypothesis, each.count, each.occurrences) for each in found["insertion"]] == [("the", 2, 2)]
    assert report.worst(2) == [3, 0], "two errors each, of which those without any word are worse"
    assert report_of(FIRST).worst(4) == [1], "recordings without an error are not listed"


def test_two_systems_are_compared() -> None:
    report = report_of(FIRST, SECOND)
    assert report.compared_by == "recordings", "two speakers are too few"
    found = report.comparison["wer"]
    assert found.difference == pytest.approx(5 / 7)
    assert found.groups == 4
    assert list(report.comparison) == ["wer", "cer"]
    speakers = [Utterance(name=str(i), reference="a b", speaker=str(i // 2)) for i in range(12)]
    by_speaker = evaluate_recognition(speakers, {"x": ["a b"] * 12, "y": ["a"] * 12})
    assert (by_speaker.compared_by, by_speaker.comparison["wer"].p_value) == ("speakers", 2 / 2**6)


def test_json_holds_everything() -> None:
    report = json.loads(json.dumps(report_of(FIRST, SECOND, settings={"label": "text"}).to_json()))
    assert [row["name"] for row in report["recordings"]] == ["a", "b", "c", "d"]
    assert report["recordings"][1]["systems"][0]["wer"] == {
        "errors": 1.0, "length": 2, "hits": 1, "substitutions": 1, "deletions": 0, "insertions": 0
    }  # fmt: skip
    assert report["systems"][0]["totals"]["wer"]["rate"] == pytest.approx(1 / 7)
    assert (report["speakers"], report["seconds"], report["settings"]) == (2, 34.0, {"label": "text"})
    assert "recordings" not in report_of(FIRST).to_json(recordings=False)


def test_what_cannot_be_evaluated_is_refused() -> None:
    with pytest.raises(UnknownName, match="wer, cer, per, pfer"):
        report_of(FIRST, metrics=["mer"])
    with pytest.raises(UnknownName, match="metric"):
        report_of(FIRST, metrics=[])
    with pytest.raises(MeasurementError, match="one system, or two|expected one, or two"):
        report_of()
    with pytest.raises(MeasurementError, match="all empty"):
        evaluate_recognition(UTTERANCES[3:], {"x": ["a"]})
    with pytest.raises(MeasurementError, match="4 references and 1 hypotheses"):
        report_of(["a"])
