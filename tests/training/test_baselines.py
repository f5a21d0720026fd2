"""Baselines in bounded memory."""

import tracemalloc

import numpy as np
from scipy import sparse

from training.baselines import neighbour_weights


def test_neighbours_found_in_blocks_are_the_nearest_of_all() -> None:
    liked = sparse.random(300, 700, 0.05, "csr", np.float32, np.random.default_rng(1))
    liked.data[:] = 1
    together = np.asarray((liked.T @ liked).todense())
    norms = np.sqrt(np.diag(together)) + 1e-9
    expected = together / (np.outer(norms, norms) + 10)
    np.fill_diagonal(expected, 0)
    found = np.asarray(neighbour_weights(liked, neighbours=20).todense()).T
    assert (np.count_nonzero(found, axis=1) <= 20).all()
    assert np.allclose(np.sort(found, axis=1)[:, -20:], np.sort(expected, axis=1)[:, -20:], atol=1e-5)


def test_one_account_with_twenty_thousand_likes_takes_no_gigabytes() -> None:
    """As one product, its neighbours are 400 million pairs: 4.8 GB."""
    everything = sparse.csr_matrix(np.ones((1, 20_000), dtype=np.float32))
    tracemalloc.start()
    neighbour_weights(everything)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5e9, f"{peak / 1e9:.2f} GB"
