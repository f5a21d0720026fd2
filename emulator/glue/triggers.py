"""Finds what a Glue trigger starts, after a job's end or after an event of EventBridge."""

from collections.abc import Iterable

from emulator.deploy.resource import Resource


def fired_by_job(
    triggers: Iterable[Resource], job_name: str, state: str, *, started_by_trigger: bool
) -> list[Resource]:
    """Returns the conditional triggers that a job's end fires.

    They fire only after jobs that a trigger started, not after `StartJobRun` (Glue Developer Guide, "AWS Glue
    triggers").
    """
    if not started_by_trigger:
        return []
    return [trigger for trigger in triggers if trigger["type"] == "CONDITIONAL" and _names(trigger, job_name, state)]


def fired_by_event(triggers: Iterable[Resource], workflow: str) -> list[Resource]:
    """Returns the workflow's start trigger if EventBridge may fire it."""
    return [trigger for trigger in triggers if trigger["type"] == "EVENT" and trigger.get("workflowName") == workflow]


def crawlers(fired: Iterable[Resource]) -> list[str]:
    """Returns the crawlers that the triggers start."""
    return [action["crawlerName"] for trigger in fired for action in trigger["actions"] if "crawlerName" in action]


def _names(trigger: Resource, job_name: str, state: str) -> bool:
    conditions = (trigger.get("predicate") or {}).get("conditions", [])
    return any(entry.get("jobName") == job_name and entry.get("state") == state for entry in conditions)
