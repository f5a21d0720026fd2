"""Linear models with weights of items by items: nearest neighbours, and EASE. Each states the memory that it takes."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import lapack
from sklearn.utils.extmath import randomized_svd

from training.data import RatingData
from training.exclusion import rating_matrix
from training.histories import Flags

EASE_MAX_ITEMS = 20_000
"""The most items for which EASE inverts the items × items matrix, in place: 1.6 GB. A run holds up to three such
matrices: the two baselines' and the teacher's. For 12,101 items with 15 ratings each (Amazon's beauty products) the
exact inverse has an NDCG@10 of .046, and `FACTORS` factors .028."""
FACTORED_MAX_ITEMS = 200_000
"""The most items for which EASE is computed from `FACTORS` factors of the ratings. Finding these takes at most 1.2
GB."""
FACTORS = 256
BLOCK = 256
"""Items whose neighbours are found at once. This bounds memory by BLOCK × items, even if one user likes all items."""


class Weights(Protocol):
    """Weights of items by items."""

    def score(self, seen: sparse.csr_matrix, items: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.float32]:
        """Returns scores (n, n_items), or only those of `items`, for the histories `seen` (n, n_items)."""
        ...


@dataclass(frozen=True)
class EaseSetting:
    """EASE of all known ratings, or of the liked ones only."""

    only_liked: bool
    regularisation: float


@dataclass(frozen=True)
class NeighbourSetting:
    """The nearest neighbours by all known ratings, or by the liked ones only."""

    only_liked: bool
    neighbours: int
    shrinkage: float


Setting = EaseSetting | NeighbourSetting


def fit(data: RatingData, known: Flags, setting: Setting) -> Weights:
    """Returns the weights of items by items that the `known` ratings give."""
    ratings = rating_matrix(data, read(data, known, setting))
    if isinstance(setting, EaseSetting):
        return ease(ratings, setting.regularisation)
    return Neighbours(neighbour_weights(ratings, setting.neighbours, setting.shrinkage))


def read(data: RatingData, known: Flags, setting: Setting) -> Flags:
    """Returns the `known` ratings that a model with this setting reads."""
    return known & data.liked if setting.only_liked else known


def fading_matrix(data: RatingData, known: Flags, fade: float) -> sparse.csr_matrix:
    """(n_users, n_items): 1 for a user's last known item, `fade` for the one before, `fade`² before that."""
    user = data.user[known]  # sorted, each user's oldest first
    age = np.searchsorted(user, user, side="right") - 1 - np.arange(len(user))
    weights = np.maximum(fade ** age.astype(np.float64), np.finfo(np.float32).tiny).astype(np.float32)
    return sparse.csr_matrix((weights, (user, data.item[known])), shape=(len(data.users), len(data.items)))


def neighbour_weights(liked: sparse.csr_matrix, neighbours: int, shrinkage: float) -> sparse.csr_matrix:
    """Returns the cosine similarity (n_items, n_items), shrunk if few users liked both items. Each item keeps its
    nearest `neighbours`."""
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
    # Row i holds the nearest items of i. The score of i sums over those that the user liked: hence the transpose.
    return sparse.csr_matrix((values, (column, row)), shape=(n_items, n_items))


def ease_weights(liked: sparse.csr_matrix, regularisation: float) -> npt.NDArray[np.float32]:
    """Returns EASE's weights (n_items, n_items): Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", 2019.

    Cholesky's decomposition inverts the matrix in place (LAPACK: spotrf, spotri).
    """
    n_items, by_item = liked.shape[1], liked.T.tocsr()
    gram = np.empty((n_items, n_items), dtype=np.float32, order="F")
    for begin in range(0, n_items, BLOCK):
        block = slice(begin, begin + BLOCK)
        gram[:, block] = (by_item[block] @ liked).toarray().T
    gram[np.diag_indices(n_items)] += regularisation
    factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1)
    inverse, singular = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed or singular:
        raise ArithmeticError(f"EASE: regularisation {regularisation:g} is too small to invert the matrix of items")
    for begin in range(0, n_items, BLOCK):  # LAPACK fills the part below the diagonal only
        block, after = slice(begin, begin + BLOCK), slice(begin + BLOCK, None)
        inverse[block, after] = inverse[after, block].T
        square = np.tril(inverse[block, block])
        inverse[block, block] = square + np.tril(square, -1).T
    weights: npt.NDArray[np.float32] = inverse.T  # the same values in rows, which are what scores read
    weights /= -np.diag(weights).copy()
    weights[np.diag_indices(n_items)] = 0.0
    return weights


@dataclass(frozen=True)
class Neighbours:
    """`weights` (n_items, n_items): a column has the similarity of its item to the neighbours."""

    weights: sparse.csr_matrix

    def score(self, seen: sparse.csr_matrix, items: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.float32]:
        if items is None:
            return np.asarray((seen @ self.weights).toarray(), dtype=np.float32)
        rows = np.unique(seen.indices)  # a batch reads few of the weights
        return np.asarray(seen[:, rows] @ self.weights[rows][:, items].toarray(), dtype=np.float32)


@dataclass(frozen=True)
class Ease:
    """Weights of items by items: `right` (n_items, n_items), or with factors `left @ right` without its diagonal `own`.

    `left` is (n_items, FACTORS), `right` (FACTORS, n_items), `own` (n_items,).
    """

    right: npt.NDArray[np.float32]
    left: npt.NDArray[np.float32] | None = None
    own: npt.NDArray[np.float32] | None = None

    def score(self, seen: sparse.csr_matrix, items: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.float32]:
        if self.left is None or self.own is None:
            if items is None:
                return np.asarray(seen @ self.right, dtype=np.float32)
            rows = np.unique(seen.indices)  # a batch reads few of the weights
            return np.asarray(seen[:, rows] @ self.right[np.ix_(rows, items)], dtype=np.float32)
        right = self.right if items is None else self.right[:, items]
        themselves = seen.multiply(self.own).tocsr()
        return np.asarray((seen @ self.left) @ right - (themselves if items is None else themselves[:, items]))


def ease(liked: sparse.csr_matrix, regularisation: float) -> Ease:
    """Returns EASE: exact for up to `EASE_MAX_ITEMS` items, else from factors. Raises `ArithmeticError` for a
    regularisation that is too small."""
    if liked.shape[1] <= EASE_MAX_ITEMS:
        return Ease(ease_weights(liked, regularisation))
    return factored_ease(liked, regularisation)


def factored_ease(liked: sparse.csr_matrix, regularisation: float) -> Ease:
    """Returns EASE for an approximate Gram matrix of the ratings X: V S² Vᵀ from X's largest singular values, with the
    diagonal of the exact one.

    Woodbury's identity gives the inverse. Let D be the rest of the diagonal plus the regularisation. Then
    (D + V S² Vᵀ)⁻¹ = D⁻¹ - A M Aᵀ, where A = D⁻¹ V and M = (S⁻² + Vᵀ A)⁻¹.
    """
    _, singular, vectors = randomized_svd(liked, min(FACTORS, *liked.shape), n_iter=4, random_state=0)
    there = singular > 1e-4 * singular[0]
    singular, items = singular[there].astype(np.float64), vectors[there].T.astype(np.float64)
    rest = np.asarray(liked.multiply(liked).sum(0)).ravel() - ((items * singular) ** 2).sum(1)
    diagonal = np.maximum(rest, 0.0) + regularisation
    scaled = items / diagonal[:, None]
    middle = np.linalg.inv(np.diag(singular**-2) + items.T @ scaled)
    left = scaled @ np.linalg.cholesky((middle + middle.T) / 2)
    kept = (left**2).sum(1)  # the diagonal of A M Aᵀ
    right = (left / (1.0 / diagonal - kept)[:, None]).T
    own = (left * right.T).sum(1)
    return Ease(right.astype(np.float32), left.astype(np.float32), own.astype(np.float32))
