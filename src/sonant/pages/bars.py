"""Charts of bars in pages."""

from collections.abc import Sequence

from sonant.pages.html import Markup, joined, tag

HEIGHT, WIDTH = 80, 18  # of the bars together, and of one with its gap


def bars(name: str, values: Sequence[float], marks: Sequence[str]) -> Markup:
    """Draw values from 0 as bars with their marks below; the highest fills the height.

    Args:
        name: of the chart, for those who do not see it.
    """
    most = max([*values, 1e-9])
    drawn = [
        tag(
            "g",
            tag("title", f"{mark}: {value:.3g}"),
            tag(
                "rect",
                x=str(WIDTH * place + 1),
                y=f"{HEIGHT * (1 - value / most):.1f}",
                width=str(WIDTH - 2),
                height=f"{HEIGHT * value / most:.1f}",
            ),
            tag("text", mark, x=str(WIDTH * place + WIDTH // 2), y=str(HEIGHT + 11)),
        )
        for place, (value, mark) in enumerate(zip(values, marks, strict=True))
    ]
    width = WIDTH * len(values)
    chart = tag(
        "svg", joined(*drawn), role="img", aria_label=name, class_="bars", viewBox=f"0 0 {width} {HEIGHT + 16}",
        width=str(width), height=str(HEIGHT + 16),
    )  # fmt: skip
    return tag("figure", tag("figcaption", name), chart)
