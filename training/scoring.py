"""Vectors of users and items by a trained model, and scorers for evaluation made of them."""

import numpy as np
import numpy.typing as npt
import torch

from training.data import RatingData
from training.fit import Inputs
from training.histories import Histories, Indices, histories
from training.joined import Model
from training.metrics import CHUNK, Scorer, Scores

Vectors = npt.NDArray[np.float32]


def recent_items(data: RatingData) -> Indices:
    """(n_users, MAX_RECENT_ITEMS) what is stored as each user's recent items, most recent first, -1 for none."""
    return histories(data).recent(np.arange(len(data.users)))


@torch.inference_mode()
def item_vectors(model: Model, inputs: Inputs) -> Vectors:
    """(n_items, dim)"""
    vectors: Vectors = model.items(inputs.items, torch.arange(inputs.shape.n_items)).numpy()
    return vectors


@torch.inference_mode()
def user_vectors(model: Model, inputs: Inputs, items: Vectors, users: Indices, recent: Indices) -> Vectors:
    """(len(users), dim) for users with the recent items given, (len(users), n), -1 where there is none."""
    table, parts = torch.from_numpy(items), [np.empty((0, items.shape[1]), dtype=np.float32)]
    for begin in range(0, len(users), CHUNK):
        user = torch.from_numpy(users[begin : begin + CHUNK])
        index = torch.from_numpy(recent[begin : begin + CHUNK])
        columns = [column[user] for column in inputs.users]
        parts.append(model.users(columns, table[index.clamp(min=0)], (index >= 0).float()).numpy())
    return np.concatenate(parts)


def scorer(model: Model, inputs: Inputs, history: Histories, users: Indices) -> Scorer:
    """Scores all items for cases of the users, by torch: for validation, while a model is trained."""
    items = item_vectors(model, inputs)

    def score(chunk: Indices) -> Scores:
        vectors: Scores = user_vectors(model, inputs, items, users[chunk], history.recent(users[chunk])) @ items.T
        return vectors

    return score
