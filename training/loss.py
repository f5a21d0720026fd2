"""The loss of the towers and of the linear part: the rated item among the candidates, and a teacher's answers."""

import torch
from torch import Tensor
from torch.nn import functional

from training.catalogue import Step
from training.examples import Batch
from training.teacher import Lesson


def loss(logits: Tensor, batch: Batch, step: Step, lesson: Lesson | None, told: float) -> Tensor:
    """Returns the weighted mean of the batch's cross-entropies with the rated items, and with the lesson's answers if
    there is a lesson. The rated items then have the weight `told`, and the lesson has the rest.

    `logits` (n, n_candidates) are changed in place: an item that the user knows is never recommended, so it does not
    count as a wrong answer.
    """
    hidden = step.among(batch.left_out)
    logits = logits.masked_fill_(hidden, -1e9)
    drawn = logits if step.log_drawn is None else logits - step.log_drawn
    losses = functional.cross_entropy(drawn, step.place[batch.target], reduction="none")
    if lesson is not None:
        candidates = step.items[: step.n_candidates]
        taught = lesson.loss(torch.log_softmax(logits, dim=-1), batch.known, candidates, hidden)
        losses = told * losses + (1.0 - told) * taught
    return (losses * batch.weight).sum() / batch.weight.sum()
