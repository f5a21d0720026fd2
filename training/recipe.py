"""How a model is made of ratings: what validation chose, the same for the model that is measured and the one served."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from training import content, linear_part, scoring, texts
from training.baselines import Baselines, sample
from training.blend import Blend, choose, find_teacher
from training.data import RatingData
from training.fit import Curve, Inputs, Settings, Trainer, set_torch
from training.histories import Cases, Flags, Split, histories
from training.joined import Joined, Model
from training.metrics import rank
from training.model import TwoTower
from training.texts import Texts

OnEpoch = Callable[[Curve], None]
MOST_VALIDATED = 3_000
"""The most validation items that are ranked after each epoch; of more, as many are drawn at random."""


@dataclass(frozen=True)
class Recipe:
    """The epochs of training, which texts are read, and how the linear part joins the towers."""

    settings: Settings
    curve: Curve
    blend: Blend
    texts: Texts
    inputs: Inputs
    """Without the texts that are not read."""

    @property
    def epochs(self) -> int:
        return self.curve.best_epoch or self.settings.epochs

    def make(self, data: RatingData, known: Flags, on_epoch: OnEpoch, checkpoint: Path | None) -> Model:
        """Trains a model on the `known` ratings; goes on from the checkpoint if there is one."""
        lesson = self.blend.lesson(data, known)
        towers = Trainer(data, known, self.inputs, self.settings, lesson).run(
            self.epochs, on_epoch=on_epoch, checkpoint=checkpoint
        )
        if lesson is None:
            return towers
        part = linear_part.fit(data, known, lesson, self.settings)
        return Joined(towers, part, content.fit(part, self.inputs, data, known, self.settings), self.blend.share).eval()


def find(
    data: RatingData,
    parts: Split,
    rivals: Baselines,
    settings: Settings,
    on_epoch: OnEpoch,
    checkpoint: Path | None,
) -> Recipe:
    """Trains on what comes before the validation items, and chooses by them."""
    set_torch(data)
    blend, pupil = find_teacher(data, parts, rivals, settings)
    part, lesson = (pupil.part, pupil.lesson) if pupil else (None, None)
    read = texts.choose(part, blend.reason, data, parts, settings)
    inputs = Inputs(data, settings, read.unread)
    trainer = Trainer(data, parts.train, inputs, settings, lesson)
    validate = _validation(data, parts.validation, inputs, settings.seed)
    towers = trainer.run(settings.epochs, validate, on_epoch, checkpoint)
    if part is not None:
        share, tried = choose(towers, part, inputs, data, parts, settings)
        blend = replace(blend, share=share, validation=tried)
    return Recipe(settings, trainer.curve, blend, read, inputs)


def _validation(data: RatingData, cases: Cases, inputs: Inputs, seed: int) -> Callable[[TwoTower], float] | None:
    if not len(cases.user):
        return None
    cases = sample(cases, seed, MOST_VALIDATED)
    known = histories(data, cases.known)

    def validate(model: TwoTower) -> float:
        return float(rank(scoring.scorer(model, inputs, known, cases.user), cases, data).ndcg.mean())

    return validate
