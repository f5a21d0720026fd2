"""The rivals of the model besides the baselines of every run: iALS and BPR, each with a small grid of settings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from scipy import sparse

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
