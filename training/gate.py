"""The gate: decides whether a model may be published."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scipy import stats

from training.metrics import NDCG

CHANCE = 0.05
"""The probability with which a model that has learned nothing may pass (a one-sided test)."""
LEAST_CASES = 10
"""The fewest held-out items for a judgement. With fewer, more models pass by chance than `CHANCE` allows."""
MARGIN = 0.05
"""The share of the active version's NDCG by which a new version may be worse."""


@dataclass(frozen=True)
class Verdict:
    passed: bool
    reason: str


def judge(evaluation: Mapping[str, Any], cut_short: bool = False) -> Verdict:
    """Judges a model: it must beat popularity by more than chance, and must not be worse than the active version by
    more than `MARGIN`.

    `cut_short` is true if training reached its last epoch while the model was still getting better.
    """
    verdict = _against_popularity(evaluation, cut_short)
    served = evaluation.get("as_served")
    if not verdict.passed or served is None:
        return verdict
    new, active = served["model"][NDCG], served["active"][NDCG]
    figures = f"{NDCG} {new:.4f} against {active:.4f} of the active version {served['version']}, each as served"
    if new < active * (1 - MARGIN):
        return Verdict(False, f"the model falls behind the active version by more than {MARGIN:.0%}: {figures}")
    return Verdict(True, f"{verdict.reason}; and it keeps up with the active version: {figures}")


def _against_popularity(evaluation: Mapping[str, Any], cut_short: bool) -> Verdict:
    lift, results = evaluation["lift_over_popularity"], evaluation["all"]
    cases = results["model"]["cases"]
    if not cases:
        return Verdict(False, "nothing to test on: no user has three liked items, one to test and one to validate with")
    model, popularity = results["model"][NDCG], results["popularity"][NDCG]
    if cases < LEAST_CASES:
        return Verdict(False, f"too little to test on: expected {LEAST_CASES} or more held-out items, found {cases}")
    # Student's t: the standard error is itself an estimate, and a rough one if there are few cases.
    needed = float(stats.t.ppf(1 - CHANCE, cases - 1)) * lift["standard_error"]
    figures = (
        f"{NDCG} {model:.4f} against popularity's {popularity:.4f} on {cases} held-out items; the difference "
        f"{lift['difference']:+.4f} must exceed {needed:.4f}, which chance alone explains"
    )
    if lift["difference"] > needed:
        return Verdict(True, f"the model beats popularity: {figures}")
    cause = (
        "training reached its last epoch and was still getting better: allow it more (--epochs)"
        if cut_short
        else "no taste to learn was found in these ratings"
    )
    return Verdict(False, f"the model does not beat popularity: {figures}: {cause}")
