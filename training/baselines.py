"""What a data scientist would try first: popularity, item-kNN and EASE, on the same split as the model."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import sparse

from training.data import RatingData
from training.exclusion import rating_matrix
from training.histories import Cases, Indices
from training.metrics import Scorer, Scores

EASE_REGULARISATION = 100.0
EASE_MAX_ITEMS = 8_000
"""EASE inverts an items × items matrix: of so many, three of 0.5 GB are held at once. Past this it is left out."""
BLOCK = 256
"""Items whose neighbours are looked for at once: memory is bounded by BLOCK × items, also where one user likes all."""
NEIGHBOURS = 100
SHRINKAGE = 10.0


def baselines(data: RatingData, cases: Cases) -> Mapping[str, Scorer]:
    """The baselines, fitted on what is known when the cases are asked."""
    liked = rating_matrix(data, cases.known & data.liked)
    counts = np.asarray(liked.sum(0)).ravel().astype(np.float32)
    chosen = {
        "popularity": lambda chunk: np.tile(counts, (len(chunk), 1)),
        "item-kNN": _linear(liked, neighbour_weights(liked), cases),
    }
    if len(data.items) <= EASE_MAX_ITEMS:
        chosen["EASE"] = _linear(liked, ease_weights(liked), cases)
    return chosen


def _linear(liked: sparse.csr_matrix, weights: npt.NDArray[np.float32] | sparse.csr_matrix, cases: Cases) -> Scorer:
    def score(chunk: Indices) -> Scores:
        product = liked[cases.user[chunk]] @ weights
        return np.asarray(product.todense() if sparse.issparse(product) else product, dtype=np.float32)

    return score


def neighbour_weights(
    liked: sparse.csr_matrix, neighbours: int = NEIGHBOURS, shrinkage: float = SHRINKAGE
) -> sparse.csr_matrix:
    """(n_items, n_items) cosine similarity, shrunk where few users liked both, each item's nearest kept."""
    n_items = liked.shape[1]
    norms = np.sqrt(np.asarray(liked.sum(0)).ravel()) + 1e-9
    by_item, blocks = liked.T.tocsr(), []
    for begin in range(0, n_items, BLOCK):
        coo = (by_item[begin : begin + BLOCK] @ liked).tocoo()
        others = coo.row + begin != coo.col
        row, column, together = coo.row[others], coo.col[others], coo.data[others]
        values = together / (norms[row + begin] * norms[column] + shrinkage)
        order = np.lexsort((column, -values, row))
        first = np.searchsorted(row[order], row[order])
        kept = order[np.arange(len(order)) - first < neighbours]
        blocks.append((values[kept], column[kept], row[kept] + begin))
    values, column, row = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    # row i holds i's nearest items; a candidate i is scored by the liked ones among them: the transpose.
    return sparse.csr_matrix((values, (column, row)), shape=(n_items, n_items))


def ease_weights(liked: sparse.csr_matrix, regularisation: float = EASE_REGULARISATION) -> npt.NDArray[np.float32]:
    """(n_items, n_items). Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", 2019."""
    gram = np.asarray((liked.T @ liked).todense(), dtype=np.float64)
    gram[np.diag_indices_from(gram)] += regularisation
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    weights[np.diag_indices_from(weights)] = 0.0
    return weights.astype(np.float32)
