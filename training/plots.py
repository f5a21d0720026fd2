"""The pictures of a training run, as PNG files."""

import io
from collections import Counter
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from contracts.columns import Kind
from training.data import RatingData
from training.metrics import ERROR, NDCG
from training.scoring import Vectors

mpl.use("Agg")

COLOURS = 9
"""The most values of a feature with a colour of their own; other values are grey."""
LONGEST_LABEL = 24


def draw(data: RatingData, metrics: Mapping[str, Any], items: Vectors) -> dict[str, bytes]:
    """PNG images by file name."""
    return {
        "plots/learning_curves.png": _png(_learning_curves(metrics["training"])),
        "plots/metrics.png": _png(_metrics(metrics)),
        "plots/embedding_map.png": _png(_embedding_map(data, items)),
    }


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # No date, no version: the same run gives the same bytes.
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _learning_curves(training: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    loss, validation = figure.subplots(1, 2)
    epochs = np.arange(1, len(training["loss"]) + 1)
    loss.plot(epochs, training["loss"], color="tab:blue")
    loss.set(title="Training loss", xlabel="epoch", ylabel="cross-entropy")
    if training["validation"]:
        validation.plot(epochs, training["validation"], color="tab:orange")
        validation.axvline(training["epochs"], color="grey", linestyle=":", label="best epoch")
        validation.legend()
    validation.set(title="Validation", xlabel="epoch", ylabel=NDCG)
    return figure


def _metrics(metrics: Mapping[str, Any]) -> Figure:
    titles = {"all": "all cases", "cold_items": "cold items", "cold_users": "cold users"}
    parts = {part: title for part, title in titles.items() if metrics[part]["model"]["cases"] or part == "all"}
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axes, (part, title) in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts.items(), strict=True):
        values = {name: result.get(NDCG, 0.0) for name, result in metrics[part].items()}
        colours = ["tab:blue" if name == "model" else "lightgrey" for name in values]
        errors = [2 * result.get(ERROR, 0.0) for result in metrics[part].values()]
        bars = axes.barh(list(values), list(values.values()), xerr=errors, color=colours, ecolor="grey", capsize=2)
        axes.bar_label(bars, fmt="%.3f", fontsize=8, padding=3)
        axes.tick_params(labelsize=8)
        axes.invert_yaxis()
        axes.set(title=f"{title} ({metrics[part]['model']['cases']})", xlabel=f"{NDCG} ± 2 standard errors")
    return figure


def _embedding_map(data: RatingData, items: Vectors) -> Figure:
    """The items' vectors on their first two principal components."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    points = PCA(2, random_state=0).fit_transform(items) if min(items.shape) > 1 else np.zeros((len(items), 2))
    name, labels = _labels(data)
    common = [label for label, _ in Counter(labels).most_common(COLOURS)]
    for label in [None, *common]:
        chosen = np.array([(each if each in common else None) == label for each in labels])
        if chosen.any():
            text = "other" if label is None else (label or "(none)")[:LONGEST_LABEL]
            axes.scatter(
                points[chosen, 0], points[chosen, 1], s=14, label=text, color="lightgrey" if label is None else None
            )
    if name:
        axes.legend(title=name, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set(title="Items: near means liked by the same people", xticks=[], yticks=[])
    return figure


def _labels(data: RatingData) -> tuple[str, list[str]]:
    """Returns the feature to colour by: the categorical or tags column (its first tag) whose values are used most
    evenly."""
    best, chosen, labels = 0.0, "", [""] * len(data.items)
    for column in data.dataset.items.features:
        if column.kind.is_number or column.kind is Kind.TEXT:
            continue
        values = data.items.columns[column.name]
        texts = [tags[0] if tags else "" for tags in values] if column.kind is Kind.TAGS else list(values)
        shares = np.array([count for _, count in Counter(texts).most_common(COLOURS)]) / len(texts)
        spread = float(-(shares * np.log(shares)).sum() * shares.sum())
        if spread > best:
            best, chosen, labels = spread, column.name, texts
    return chosen, labels
