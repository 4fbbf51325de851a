"""Pictures of a report as SVG, which a page holds without another file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

#: Characters of a name in a picture.
_MAX_NAME = 16


def _short(name: str) -> str:
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _picture(width: float, height: float, title: str, parts: list[Markup]) -> Markup:
    return Markup(
        '<svg viewBox="0 0 {} {}" style="max-width:{}px" role="img" aria-label="{}">{}</svg>'
    ).format(f"{width:.0f}", f"{height:.0f}", f"{width:.0f}", title, Markup("").join(parts))


def _text(x: float, y: float, text: str, kind: str = "", title: str = "") -> Markup:
    tip = Markup("<title>{}</title>").format(title) if title else ""
    return Markup('<text x="{}" y="{}" class="{}">{}{}</text>').format(
        f"{x:.1f}", f"{y:.1f}", kind, text, tip
    )


def draw_matrix(counts: NDArray, names: Sequence[str]) -> Markup:
    """Draw how many rows have each given label (rows) and each true one (columns)."""
    n, left, top = len(names), 120, 44
    longest = max(len(_short(name)) for name in names)
    side = max(26.0, min(12.0 + 8 * longest, 110.0, 420 / n))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)
    parts = [
        _text(left - 8, 18, "given label", "end faint"), _text(left, 18, "true label", "faint")
    ]  # fmt: skip
    for j, name in enumerate(names):
        room = max(int(side / 8), 2)
        short = name if len(name) <= room else f"{name[: room - 1]}\N{HORIZONTAL ELLIPSIS}"
        parts.append(_text(left + side * (j + 0.5), top - 8, short, "middle", name))
    for i, name in enumerate(names):
        y = top + side * i
        parts.append(_text(left - 8, y + side / 2 + 4, _short(name), "end", name))
        for j, other in enumerate(names):
            kind = "right" if i == j else "wrong"
            tip = f"{counts[i, j]:.0f} rows with the label {name} are {other}"
            parts.append(
                Markup(
                    '<rect x="{}" y="{}" width="{}" height="{}" class="{}" '
                    'fill-opacity="{}"><title>{}</title></rect>'
                ).format(
                    f"{left + side * j + 1:.1f}", f"{y + 1:.1f}", f"{side - 2:.1f}",
                    f"{side - 2:.1f}", kind, f"{0.06 + 0.5 * shares[i, j]:.2f}", tip,
                )
            )  # fmt: skip
            if counts[i, j] >= 0.5 and side >= 26:
                parts.append(
                    _text(left + side * (j + 0.5), y + side / 2 + 4, f"{counts[i, j]:.0f}",
                          "middle small")
                )  # fmt: skip
    title = "How many rows have each given label and each true label"
    return _picture(left + side * n + 8, top + side * n + 8, title, parts)


def draw_bars(groups: Sequence[tuple[str, float, int]], title: str) -> Markup:
    """Draw bars of the wrong labels of groups: a name, their number, and all rows of the group."""
    left, width, step = 130, 250, 26
    largest = max([*(value for _, value, _ in groups), 1e-9])
    parts = []
    for i, (name, value, total) in enumerate(groups):
        y = step * i + 4
        parts.append(_text(left - 8, y + 14, _short(name), "end", name))
        parts.append(
            Markup('<rect x="{}" y="{}" width="{}" height="18" class="bar"/>').format(
                left, y, f"{max(width * value / largest, 1):.1f}"
            )
        )
        share = f"{value:.0f} of {total} ({value / max(total, 1):.0%})"
        parts.append(_text(left + width * value / largest + 6, y + 14, share, "small"))
    return _picture(left + width + 170, step * len(groups) + 8, title, parts)


def draw_histogram(probabilities: NDArray) -> Markup:
    """Draw how many labels have each probability of being wrong."""
    counts, _ = np.histogram(probabilities, bins=20, range=(0, 1))
    left, top, height, step = 44, 20, 130, 20
    # The first bar is far the longest; roots leave the others visible.
    roots = np.sqrt(counts / max(counts.max(), 1))
    parts = [_text(left, 12, "rows (bars by their square root)", "faint small")]
    for i, count in enumerate(counts.tolist()):
        tip = f"{count} labels are wrong with a probability of {i / 20:.2f} to {(i + 1) / 20:.2f}"
        parts.append(
            Markup(
                '<rect x="{}" y="{}" width="{}" height="{}" class="bar"><title>{}</title></rect>'
            ).format(
                left + step * i + 1, f"{top + height * (1 - roots[i]):.1f}", step - 2,
                f"{height * roots[i]:.1f}", tip,
            )
        )  # fmt: skip
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x = left + 20 * step * tick
        parts.append(_text(x, top + height + 16, f"{tick:g}", "middle small"))
    parts.append(_text(left + 10 * step, top + height + 34, "probability that the label is wrong",
                       "middle faint small"))  # fmt: skip
    title = "How many labels have each probability of being wrong"
    return _picture(left + 20 * step + 20, top + height + 42, title, parts)
