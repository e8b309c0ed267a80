"""Plots: a comparison at a glance, as PNG.

Here: pictures of labels and probabilities. Not here: the figures that decide (`metrics`, `gate`), or where pictures
are kept (`assets`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES, _DPI = (6.0, 4.5), 100
_COLOURS = ("#0b6e99", "#d9730d", "#6940a5", "#0f7b6c")
_GREY = "#8a8f98"


def roc_curves(labels: np.ndarray, probabilities: Mapping[str, np.ndarray]) -> bytes:
    """The ROC curves of models by name, each [n] probabilities for the labels [n], as a PNG of 600 x 450 pixels."""
    from sklearn.metrics import auc, roc_curve

    figure, axes = _canvas("Who ranks churning customers first?")
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle=":", label="chance, AUC 0.500")
    for (name, scores), colour in zip(probabilities.items(), cycle(_COLOURS)):
        wrong, right, _ = roc_curve(labels, scores)
        axes.plot(wrong, right, color=colour, linewidth=1.8, label=f"{name}, AUC {auc(wrong, right):.3f}")
    axes.set_xlabel("Share of staying customers predicted to churn")
    axes.set_ylabel("Share of churning customers found")
    return _png(figure, axes)


def lift_curves(labels: np.ndarray, probabilities: Mapping[str, np.ndarray]) -> bytes:
    """How many churning customers have the highest scores: cumulative gains, as a PNG like `roc_curves`."""
    figure, axes = _canvas("How many churning customers does a call list reach?")
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle=":", label="calling at random")
    labels = np.asarray(labels, dtype=bool)
    for (name, scores), colour in zip(probabilities.items(), cycle(_COLOURS)):
        order = np.argsort(-scores, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(scores[order])), len(labels) - 1)  # ties are called together
        reached = np.append(0.0, (ends + 1) / len(labels))
        found = np.append(0.0, np.cumsum(labels[order])[ends] / labels.sum())
        tenth = float(np.interp(0.1, reached, found))
        axes.plot(reached, found, color=colour, linewidth=1.8, label=f"{name}, {tenth:.0%} in the first 10%")
    axes.axvline(0.1, color=_GREY, linewidth=0.8)
    axes.set_xlabel("Share of customers called, by falling score")
    axes.set_ylabel("Share of churning customers reached")
    return _png(figure, axes)


def calibration_curve(predicted: Sequence[float], realised: Sequence[float], name: str) -> bytes:
    """Predicted against actual churn, with one point for each group, as a PNG like `roc_curves`."""
    figure, axes = _canvas("Do as many customers churn as predicted?")
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle=":", label="exactly as many")
    axes.plot(predicted, realised, color=_COLOURS[0], linewidth=1.8, marker="o", label=name)
    axes.set_xlabel("Mean churn probability of a tenth of the customers")
    axes.set_ylabel("Share of them that churned")
    return _png(figure, axes)


def _canvas(title: str) -> tuple[Figure, Axes]:
    """A figure of its own: pyplot would keep every figure of a long-lived process in memory."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=12)
    axes.set(xlim=(0, 1), ylim=(0, 1.005))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e8eb", linewidth=0.8)
    return figure, axes


def _png(figure: Figure, axes: Axes) -> bytes:
    """The figure in 64 colours, which takes a third of the bytes; the same curves give the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    for text in axes.legend(loc="lower right", frameon=False).get_texts():
        text.set_parse_math(False)  # between two dollars, a name would be a formula
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    picture = Image.fromarray(pixels).convert("RGB").quantize(64)
    picture.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
