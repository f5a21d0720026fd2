"""The rules' file as a function keeps it: read again every few seconds, and never a reason not to answer."""

import time

from contracts.metrics import RULES_PROBLEMS
from contracts.rules import RULES_FILE, RULES_VERSION, RulesError, read_rules
from functions.shared.s3 import ObjectUnavailableError, S3Reader
from functions.shared.serving.rules import NO_RULES, RulesInForce
from functions.shared.telemetry import Logger, Metrics, count

CHECK_SECONDS, AWAY_SECONDS = 5.0, 30.0
"""Seconds after which the file is asked for again, with its ETag, and where it could not be read."""
TIMEOUT = (0.5, 1.0)
"""The most seconds to connect and to read: an answer does not wait longer for rules that it has already."""
ABSENT = (403, 404)
"""The answers to a file that was never put: S3 says "denied" to who may not list the bucket (its API reference,
"GetObject"). Once there were rules, both are a problem."""


class RulesFile:
    """The last good rules of a bucket."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._s3: S3Reader | None = None
        self._rules, self._etag = NO_RULES, ""
        self._next_check = float("-inf")
        self.problem: str | None = None
        """The mistake that the last check found, if any: the last good rules stay in force."""

    @property
    def last(self) -> RulesInForce:
        """The rules of the last check."""
        return self._rules

    def in_force(self) -> RulesInForce:
        if time.monotonic() >= self._next_check:
            self._check()
            self._next_check = time.monotonic() + (AWAY_SECONDS if self.problem else CHECK_SECONDS)
        return self._rules

    def report(self, logger: Logger, metrics: Metrics) -> None:
        """Counts and logs the problem, if there is one. The metric has an alarm (components/alarms.py)."""
        if self.problem:
            count(metrics, RULES_PROBLEMS, 1)
            logger.error("the rules cannot be read; the last good ones stay", extra={"reason": self.problem})

    def close(self) -> None:
        if self._s3 is not None:
            self._s3.close()

    def _check(self) -> None:
        self._s3 = self._s3 or S3Reader(TIMEOUT)
        try:
            changed = self._s3.changed(self._bucket, RULES_FILE, self._etag)
        except ObjectUnavailableError as error:
            never_put = not self._etag and error.status in ABSENT
            self.problem = None if never_put else str(error)
            return
        if changed is None:
            return
        content, headers = changed
        self._etag = headers.get("ETag", "")
        # Who copies the file there by other means than `operations rules put` gives it no version.
        version = headers.get(f"x-amz-meta-{RULES_VERSION}") or self._etag.strip('"')
        try:
            self._rules, self.problem = RulesInForce(read_rules(content), version), None
        except RulesError as error:
            self.problem = str(error)
