"""Computes a trained model's vectors of users and items, and scorers for evaluation from them."""

import numpy as np
import numpy.typing as npt
import torch

from training.data import RatingData
from training.fit import Inputs
from training.histories import Histories, Indices, histories
from training.joined import Model
from training.linear_part import LinearPart
from training.metrics import CHUNK, Scorer, Scores

Vectors = npt.NDArray[np.float32]


def recent_items(data: RatingData) -> Indices:
    """Returns (n_users, MAX_RECENT_ITEMS): the recent items to store for each user, most recent first, -1 for none."""
    return histories(data).recent(np.arange(len(data.users)))


@torch.inference_mode()
def item_vectors(model: Model, inputs: Inputs) -> Vectors:
    """Returns (n_items, dim)."""
    vectors: Vectors = model.items(inputs.items, torch.arange(inputs.shape.n_items)).numpy()
    return vectors


@torch.inference_mode()
def user_vectors(model: Model, inputs: Inputs, items: Vectors, users: Indices, recent: Indices) -> Vectors:
    """Returns (len(users), dim) for users with the given recent items (len(users), n), -1 for none."""
    table, parts = torch.from_numpy(items), [np.empty((0, items.shape[1]), dtype=np.float32)]
    for begin in range(0, len(users), CHUNK):
        user = torch.from_numpy(users[begin : begin + CHUNK])
        index = torch.from_numpy(recent[begin : begin + CHUNK])
        columns = [column[user] for column in inputs.users]
        parts.append(model.users(columns, table[index.clamp(min=0)], (index >= 0).float()).numpy())
    return np.concatenate(parts)


def scorer(model: Model, inputs: Inputs, history: Histories, users: Indices) -> Scorer:
    """Scores all items for the users' cases by torch: for validation during training."""
    items = item_vectors(model, inputs)

    def score(chunk: Indices) -> Scores:
        vectors: Scores = user_vectors(model, inputs, items, users[chunk], history.recent(users[chunk])) @ items.T
        return vectors

    return score


@torch.inference_mode()
def linear_scorer(
    part: LinearPart, history: Histories, users: Indices, candidates: torch.Tensor | None = None
) -> Scorer:
    """The same by the linear part alone, or by other vectors of the candidates (n_items, dim) than its own."""
    items = part.items(torch.arange(len(part.rated)))
    candidates = items if candidates is None else candidates

    @torch.inference_mode()
    def score(chunk: Indices) -> Scores:
        recent = torch.from_numpy(history.recent(users[chunk]))
        scores: Scores = (part.users(items[recent.clamp(min=0)], (recent >= 0).float()) @ candidates.T).numpy()
        return scores

    return score
