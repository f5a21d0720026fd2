"""What the model is measured beside: popularity, item-kNN, EASE, iALS and BPR, each with a small grid of settings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from scipy import sparse

from training.baselines import EASE_MAX_ITEMS, ease_weights, neighbour_weights
from training.data import RatingData
from training.exclusion import rating_matrix
from training.histories import Cases, Flags, Indices
from training.metrics import Scorer, Scores, rank

Recommender = Callable[[Indices], Scores]
"""Users (n,) → a score for each of them and each item (n, n_items), higher is better."""
Setting = Mapping[str, Any]


@dataclass(frozen=True)
class Rival:
    """`fit(seen, seed, **setting)` learns from `seen` (n_users, n_items), which holds 1 where a user chose an item."""

    fit: Callable[..., Recommender]
    grid: Mapping[str, Sequence[float]]

    def settings(self) -> Iterator[Setting]:
        """Each of the grid, with and without the ratings below liked."""
        for values in product([True, False], *self.grid.values()):
            yield dict(zip(["only_liked", *self.grid], values, strict=True))


def tune(rival: Rival, data: RatingData, cases: Cases, seed: int) -> Setting:
    """The setting with the best NDCG on the cases, fitted to what is known when they are asked."""

    def ndcg(setting: Setting) -> float:
        return float(rank(fit(rival, setting, data, cases, seed), cases, data).ndcg.mean())

    return max(rival.settings(), key=ndcg)


def fit(rival: Rival, setting: Setting, data: RatingData, cases: Cases, seed: int) -> Scorer:
    """A scorer of the cases, fitted to what is known when they are asked."""
    options = dict(setting)
    chosen: Flags = cases.known & (data.liked if options.pop("only_liked") else True)
    recommender = rival.fit(rating_matrix(data, chosen), seed, **options)
    return lambda chunk: recommender(cases.user[chunk])


def _popularity(seen: sparse.csr_matrix, seed: int) -> Recommender:
    counts = np.asarray(seen.sum(0), dtype=np.float32)
    return lambda users: np.repeat(counts, len(users), axis=0)


def _item_knn(seen: sparse.csr_matrix, seed: int, neighbours: int, shrinkage: float) -> Recommender:
    weights = neighbour_weights(seen, neighbours, shrinkage)
    return lambda users: np.asarray((seen[users] @ weights).todense(), dtype=np.float32)


def _ease(seen: sparse.csr_matrix, seed: int, regularisation: float) -> Recommender:
    weights = ease_weights(seen, regularisation)
    return lambda users: np.asarray(seen[users] @ weights, dtype=np.float32)


def _ials(seen: sparse.csr_matrix, seed: int, **options: Any) -> Recommender:
    """Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", 2008."""
    return _factors(AlternatingLeastSquares(num_threads=1, random_state=seed, **options), seen)


def _bpr(seen: sparse.csr_matrix, seed: int, **options: Any) -> Recommender:
    """Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", 2009."""
    return _factors(BayesianPersonalizedRanking(num_threads=1, random_state=seed, **options), seen)


def _factors(model: Any, seen: sparse.csr_matrix) -> Recommender:
    model.fit(seen, show_progress=False)
    return lambda users: model.user_factors[users] @ model.item_factors.T


RIVALS: Mapping[str, Rival] = {
    "popularity": Rival(_popularity, {}),
    "item-kNN": Rival(_item_knn, {"neighbours": [20, 50, 100, 200], "shrinkage": [10.0, 50.0]}),
    "EASE": Rival(_ease, {"regularisation": [30.0, 100.0, 200.0, 500.0, 1000.0]}),
    "iALS": Rival(_ials, {"factors": [32, 64, 128], "regularization": [1.0, 5.0, 10.0, 20.0], "alpha": [1.0, 5.0]}),
    "BPR": Rival(
        _bpr,
        {
            "factors": [32, 64, 128],
            "learning_rate": [0.01, 0.02],
            "regularization": [0.02, 0.05],
            "iterations": [100, 200],
        },
    ),
}


def rivals(data: RatingData) -> Mapping[str, Rival]:
    """Those that the data are small enough for."""
    return {name: rival for name, rival in RIVALS.items() if name != "EASE" or len(data.items) <= EASE_MAX_ITEMS}
