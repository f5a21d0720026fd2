"""Joins the towers and the linear part, in the share that is best on validation."""

from dataclasses import asdict, dataclass, field
from typing import Any

from training import scoring, teacher
from training.baselines import EASE, FADING_EASE, Baselines, sample
from training.data import RatingData
from training.fit import Inputs, Settings
from training.histories import Split, histories
from training.joined import Joined, Model
from training.linear_part import LinearPart
from training.metrics import rank
from training.model import TwoTower
from training.teacher import Teacher

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""The shares of the linear part that are tried. The towers keep a fifth at least: who has no history, and what nobody
has rated, is theirs."""


@dataclass(frozen=True)
class Blend:
    """How the parts are joined: `share` 0 means the towers alone; without a teacher, `reason` says why."""

    teacher: Teacher | None
    reason: str = ""
    share: float = 0.0
    validation: dict[str, float] = field(default_factory=dict)
    """Share → validation NDCG."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def find_teacher(data: RatingData, parts: Split, rivals: Baselines, settings: Settings) -> Blend:
    """EASE as it was tuned, where it can teach a linear part."""
    ease = rivals.by_name.get(FADING_EASE) or rivals.by_name.get(EASE)
    reason = ""
    if settings.similarity != "cosine":
        reason = "a linear part needs the similarity cosine"
    elif settings.linear_dim < 2:
        reason = "linear_dim leaves no number for a linear part"
    elif ease is None:
        reason = "EASE, which teaches the linear part, is left out"
    elif not len(parts.validation.user):
        reason = "no validation item to choose its share by"
    if ease is None or reason:
        return Blend(None, reason)
    return Blend(teacher.find(data, parts.validation, ease.setting))


def choose(
    towers: TwoTower, part: LinearPart, inputs: Inputs, data: RatingData, parts: Split, settings: Settings
) -> tuple[float, dict[str, float]]:
    """The share with the best validation NDCG, and that of every share."""
    cases = sample(parts.validation, settings.seed)
    history = histories(data, cases.known)

    def ndcg(model: Model) -> float:
        return float(rank(scoring.scorer(model, inputs, history, cases.user), cases, data).ndcg.mean())

    found = {share: ndcg(joined(towers, part, share)) for share in SHARES}
    return max(found, key=found.__getitem__), {f"{share:g}": value for share, value in found.items()}


def joined(towers: TwoTower, part: LinearPart, share: float) -> Model:
    return Joined(towers, part, share).eval() if share else towers
