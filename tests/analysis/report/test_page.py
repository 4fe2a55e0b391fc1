"""The page of an analysis: whole by itself, safe whatever the names are, and true to the numbers."""

import json
import re

import pytest

from sonant.analysis import Analysis, DataSummary, Estimate, LayerCurve, ModelAnalysis
from sonant.analysis.report import report_page
from sonant.analysis.report.planes import MOST_POINTS, planes_data
from sonant.analysis.report.style import ANALYSIS_STYLE
from sonant.pages.style import STYLE
from tests.analysis.report.made_up import analysis
from tests.evaluation.recognition.test_page import EVIL, Reader
from tests.pages.test_html import luminance


@pytest.mark.parametrize("depths", [(5,), (5, 9)])
def test_names_cannot_add_elements(depths: tuple[int, ...]) -> None:
    plain, evil = (Reader(report_page(analysis(*depths, text=text), {0: "data:,"})) for text in ("", EVIL))
    assert not evil.open
    assert evil.names() == plain.names()


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = report_page(analysis(5), {0: "data:audio/mpeg;base64,AAAA"})
    assert "default-src 'none'; style-src 'unsafe-inline'; media-src data:; script-src 'sha256-" in page.replace(
        "&#x27;", "'"
    )
    addresses = [value for _, each in Reader(page).elements for key, value in each.items() if key in ("src", "href")]
    assert all(address.startswith("#") for address in addresses)
    assert "url(" not in page


def test_its_numbers_are_those_of_the_analysis() -> None:
    made = analysis(5, 9)
    page = report_page(made)
    for model in made.models:
        for curve in model.curves:
            for estimate in curve.values:
                text = (
                    f"{estimate} %" if curve.unit else f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"
                )
                assert text.replace("-", "−") in page
    assert "encoder.encode(&quot;speech.wav&quot;, layer=2, pool=&quot;mean+std&quot;)" in page
    assert "encoder.encode(&quot;speech.wav&quot;, layer=6)" in page
    assert made.command in page
    ids = [each["id"] for _, each in Reader(page).elements if "id" in each]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#(\w+)"', page)) <= set(ids)


def test_points_keep_their_proportions_and_are_bounded() -> None:
    made = analysis(3, clips=MOST_POINTS)
    data = planes_data(made, dict.fromkeys(range(MOST_POINTS), "data:,"))
    assert len(data["sets"]) == 2, "labels and clips of all layers and methods stand there once"
    recordings, segments = data["sets"]
    assert len(recordings["clips"]) == MOST_POINTS
    assert len(segments["clips"]) == MOST_POINTS
    assert segments["all"] == 2 * MOST_POINTS
    for projection in made.models[0].projections:
        found = next(
            each
            for each in data["models"][0]
            if (each["layer"], each["method"], each["of"]) == (projection.layer, projection.method, projection.of)
        )
        assert len(found["points"]) == 2 * MOST_POINTS
        assert len(json.dumps(found["points"], separators=(",", ":"))) < 12_500
        assert min(found["points"]) == 0
        assert max(found["points"]) == 1000
        step = len(projection.points) // MOST_POINTS
        (ax, ay), (bx, by) = projection.points[0], projection.points[step]
        x, y, x1, y1 = found["points"][:4]
        assert (x1 - x) * (by - ay) == pytest.approx(-(y1 - y) * (bx - ax), abs=0.05 * 1000)
    assert recordings["fields"]["pitch"]["numbers"][1] == 102.5
    word = recordings["fields"]["word"]
    assert word["values"][0] == -1
    assert sum(word["counts"]) == sum(value >= 0 for value in word["values"])


def test_an_analysis_of_little_has_a_page() -> None:
    curve = LayerCurve(name="speaker", measure="accuracy", kind="probe", values=(Estimate(0.5),), best=0)
    for model in (
        ModelAnalysis(name="m", revision="r", layer_names=("0",), curves=(curve,), similarity=((1.0,),)),
        ModelAnalysis(name="m", revision="r", layer_names=()),
        ModelAnalysis(
            name="m", revision="r", layer_names=("0", "1"),
            curves=(LayerCurve(name="x", measure="CKA", kind="similarity", unit="", best=1,
                               values=(Estimate(float("nan")), Estimate(0.0))),),
        ),
    ):  # fmt: skip
        data = DataSummary(source="d", recordings=1, seconds=1.0)
        page = report_page(Analysis(models=(model,), data=data, command="c", created="2026"))
        assert not Reader(page).open
        assert "plane" not in Reader(page).names()


def test_colors_have_contrast_in_both_themes() -> None:
    """3 or more for points, 4.5 for names of models, as WCAG 2.2 AA asks."""

    def themes(style: str) -> list[dict[str, str]]:
        return [dict(re.findall(r"--([\w-]+): #(\w+)", theme)) for theme in re.findall(r":root \{([^}]*)\}", style)]

    for theme, own in zip(themes(STYLE), themes(ANALYSIS_STYLE), strict=True):
        for name, color in own.items():
            ground = theme["ground" if name in ("first", "second") else "panel"]
            darker, lighter = sorted(map(luminance, (color, ground)))
            least = 4.5 if name in ("first", "second") else 3.0 if name not in ("low", "high") else 1.8
            assert (lighter + 0.05) / (darker + 0.05) >= least, (name, color)
