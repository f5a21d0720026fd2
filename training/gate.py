"""Decides whether a model is worth serving."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.evaluate import CONFIDENCE, NDCG


@dataclass(frozen=True)
class Verdict:
    passed: bool
    reason: str


def judge(evaluation: Mapping[str, Any]) -> Verdict:
    """A model must beat popularity by more than chance: otherwise popularity recommends as well, for nothing."""
    lift, results = evaluation["lift_over_popularity"], evaluation["all"]
    if not results["model"]["cases"]:
        return Verdict(
            False, "no user has the three liked items that a test needs: nothing shows what the model is worth"
        )
    model, popularity = results["model"][NDCG], results["popularity"][NDCG]
    needed = CONFIDENCE * lift["standard_error"]
    figures = (
        f"{NDCG} {model:.4f} against popularity's {popularity:.4f} on {results['model']['cases']} held-out items; "
        f"a difference of {lift['difference']:+.4f}, where chance alone explains up to ±{needed:.4f}"
    )
    if lift["difference"] > needed:
        return Verdict(True, f"the model beats popularity: {figures}")
    return Verdict(
        False, f"the model does not beat popularity: {figures}: these ratings hold no taste that it could learn"
    )
