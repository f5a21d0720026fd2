"""Finds the nearest items of every item by blocks of a matrix product, so that the load need not search for them."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from contracts.artifacts import MAX_SIMILAR_ITEMS

MOST_ITEMS = 200_000
"""The most items for which the nearest ones are computed here: the work grows with the square of the items, that of the
load's search of its index does not. Where the two meet was not measured."""
BLOCK_NUMBERS = 2**25
"""Scores held at once: 128 MiB, whatever the size of the catalogue."""

Indices = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float32]


@torch.inference_mode()
def nearest(
    vectors: npt.NDArray[np.float32], in_stock: npt.NDArray[np.bool_], similarity: str
) -> Iterator[tuple[Indices, Distances]]:
    """Yields for each of the items (n, dim) its nearest items in stock, the nearest first, and their distances.

    An item has up to `MAX_SIMILAR_ITEMS` of them, never itself. Distances are pgvector's: 1 − cosine, or the negative
    inner product (its README, "Querying").
    """
    offset = 0.0
    if similarity == "cosine":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        offset = 1.0
    table, stock = torch.from_numpy(vectors), torch.from_numpy(np.flatnonzero(in_stock))
    candidates = table[stock].T
    place = torch.full((len(table),), -1)
    place[stock] = torch.arange(len(stock))
    step = max(1, BLOCK_NUMBERS // max(1, len(stock)))
    for start in range(0, len(table), step):
        scores = table[start : start + step] @ candidates
        own = place[start : start + step]
        rows = torch.nonzero(own >= 0)[:, 0]
        scores[rows, own[rows]] = -torch.inf
        best, found = scores.topk(min(MAX_SIMILAR_ITEMS, len(stock)), dim=1)
        for row_scores, row in zip(best.numpy(), stock[found].numpy(), strict=True):
            # Where few items are in stock, the item itself comes last.
            some = np.isfinite(row_scores)
            yield row[some], offset - row_scores[some]
