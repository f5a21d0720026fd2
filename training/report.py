"""`report.html`: one self-contained page that shows what a model learned and how it compares."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

import numpy as np

from contracts.dataset import Dataset, Exclude
from training import scoring
from training.data import RatingData
from training.evaluate import standing
from training.exclusion import excluded
from training.history import History
from training.metrics import NDCG, K
from training.scoring import Vectors
from training.tables import compared, item_names, misses, new_items, sessions, where

EXAMPLES = 6
SHOWN = 5
"""The most items in a line of an example."""
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; color: #222; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .3em .8em; border-bottom: 1px solid #ddd }
td.number { text-align: right; font-variant-numeric: tabular-nums } tr.model { font-weight: 600; background: #eef4fb }
img { max-width: 100% } .passed { color: #176b2c } .refused { color: #a11 } small { color: #666 }
"""
PARTS = {
    "all": ("All cases", "each user's last liked item, to be found among all items that would be recommended"),
    "cold_items": ("Cold items", "the cases whose held-out item has hardly been rated"),
    "cold_users": ("Cold users", "the same cases with the user's history hidden: only the user's features are left"),
}


def page(
    data: RatingData,
    metrics: Mapping[str, Any],
    plots: Mapping[str, bytes],
    examples: str,
    version: str,
    history: History,
    names: Mapping[str, str],
) -> str:
    """Returns the whole page. `plots` are PNG images by file name, `history` earlier versions, the latest first, and
    `names` item ids with the items' names."""
    gate, dataset = metrics["gate"], data.dataset
    state = "passed" if gate["passed"] else "refused"
    forced = " Published by force." if gate["forced"] else ""
    shop = f"{dataset.users.label} and {dataset.items.label} of training data {dataset.name}"
    rated = f"{dataset.ratings.rating} of {dataset.ratings.liked} or more" if dataset.ratings.rating else "purchases"
    counts = f"{len(data.user):,} ratings by {len(data.users):,} users of {len(data.items):,} items"
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Model report {escape(version)}</title><style>{STYLE}</style></head>
<body><h1>Model report</h1>
<p><strong>{escape(standing(metrics))}</strong> {escape(". ".join(metrics["baselines"]["notes"]))}</p>
<p>Version {escape(version)}, made on {_date(version)}, of {escape(shop)}.</p>
<p>{counts}; {int(data.liked.sum()):,} of them liked ({escape(rated)}). {metrics["recommendable"]:,} items are in stock,
and can be recommended{_except(dataset)}. Trained for {metrics["training"]["epochs"]} epochs.
{_linear_part(metrics["training"]["linear_part"])}{_texts(metrics["training"]["texts"])}
Were nothing left out, {metrics["repeated"]:.0%} of the recommendations would be items that the user has rated.</p>
<p class="{state}"><strong>Gate: {state}.</strong> {escape(gate["reason"])}.{forced}</p>
{"".join(compared(metrics[part], *texts) for part, texts in PARTS.items())}
<p><small>Full ranking, no sampled candidates. One item is held out a user, so recall@{K} equals the hit rate.
± is a standard error. Gini: 0 where every item is recommended as often, 1 where one has all recommendations.
Coverage: share of the catalogue that anybody is recommended. Novelty: mean of −log₂(popularity), in bits.</small></p>
{sessions(metrics["sessions"])}
{new_items(metrics["new_items"])}
{where(metrics["where"], metrics["lift_over_best"]["baseline"])}
{_history([(version, metrics), *history])}
<h2>Metrics against baselines</h2>{_image(plots["plots/metrics.png"])}
<h2>Learning curves</h2>{_image(plots["plots/learning_curves.png"])}
<h2>Embedding map</h2>{_image(plots["plots/embedding_map.png"])}
<h2>These lately → gets these</h2>{examples}
{misses(metrics["misses"], data, names)}
</body></html>
"""


def _except(dataset: Dataset) -> str:
    serving = dataset.serving
    if serving.exclude is Exclude.NONE:
        return ""
    days = "" if serving.exclude_days is None else f" within {serving.exclude_days} days"
    return f", except what a user has rated or bought{days}, here as when they are served"


def _linear_part(blend: Mapping[str, Any]) -> str:
    if blend["reason"]:
        return f"There is no linear part: {escape(blend['reason'])}."
    return f"The linear part's share of a score is {blend['share']:.0%}, the best on validation."


def _texts(texts: Mapping[str, Any]) -> str:
    """Says of each text whether its words are read, and what tells so."""
    if texts["reason"]:
        return f" No text is read: {escape(texts['reason'])}."
    return "".join(
        f" The words of {escape(name)} are {'read' if found['read'] else 'not read'}: {NDCG} of validation items taken "
        f"for new is {found['with']:.4f} with them and {found['without']:.4f} without, "
        f"{found['difference']:+.4f} ± {found['standard_error']:.4f}."
        for name, found in texts["validation"].items()
    )


def _date(version: str) -> str:
    made = datetime.strptime(version.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return f"{made:%Y-%m-%d at %H:%M} UTC"


def _history(versions: History) -> str:
    """Returns a table of earlier versions with the figures of their training. Each was tested on the data of its
    training."""
    rows = []
    for version, metrics in versions:
        reached = {name: metrics.get("all", {}).get(name, {}).get(NDCG) for name in ("model", "popularity")}
        cells = "".join(
            f'<td class="number">{"–" if value is None else f"{value:.4f}"}</td>' for value in reached.values()
        )
        passed = metrics.get("gate", {}).get("passed")
        ratings = metrics.get("training", {}).get("ratings")
        number = f'<td class="number">{"–" if ratings is None else f"{ratings:,}"}</td>'
        rows.append(f"<tr><td>{escape(version)}</td>{number}{cells}<td>{'passed' if passed else 'refused'}</td></tr>")
    head = f"<tr><th>version</th><th>ratings</th><th>{NDCG}</th><th>popularity's</th><th>gate</th></tr>"
    return f"<h2>Versions</h2><table>{head}{''.join(rows)}</table>"


def _image(content: bytes) -> str:
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(content).decode()}">'


def examples(data: RatingData, items: Vectors, users: Vectors, names: Mapping[str, str]) -> str:
    """Returns a few users with the latest items of their history, and the items that the model recommends to them."""
    recent = scoring.recent_items(data)
    long_enough = np.flatnonzero((recent >= 0).sum(1) >= min(SHOWN, (recent >= 0).sum(1).max()))
    chosen = long_enough[np.linspace(0, len(long_enough) - 1, min(EXAMPLES, len(long_enough))).astype(int)]
    left_out = excluded(data, np.ones(len(data.user), dtype=bool))
    rows = []
    for user in chosen:
        scores = items @ users[user]
        scores[left_out[[user]].indices] = -np.inf
        latest = [item for item in recent[user, :SHOWN] if item >= 0]
        best = np.argsort(-scores, kind="stable")[:SHOWN]
        rows.append(
            f"<tr><td>{item_names(data, latest, names)}</td><td>→</td><td>{item_names(data, best, names)}</td></tr>"
        )
    return f"<table>{''.join(rows)}</table>"
