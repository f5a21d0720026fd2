"""Problem details (RFC 9457, "Problem Details for HTTP APIs"): what every error of the API looks like."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

FOUND_CHARACTERS = 100


@dataclass(frozen=True)
class FieldError:
    """One field that is wrong. `field` is a path such as `items[3]`; `found` is cut to `FOUND_CHARACTERS`."""

    field: str
    expected: str
    found: str


class ProblemError(Exception):
    """A request that is answered by a problem. `retry_after` is in seconds, where a later try may succeed."""

    def __init__(
        self, status: HTTPStatus, detail: str, errors: Sequence[FieldError] = (), retry_after: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.retry_after = retry_after

    def document(self) -> dict[str, Any]:
        """The JSON of the problem. The type `about:blank` says that the title is the status' own (RFC 9457, 4.2.1)."""
        errors = {"errors": [asdict(error) for error in self.errors]} if self.errors else {}
        return {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            **errors,
        }


def bad_request(errors: Sequence[FieldError]) -> ProblemError:
    """Returns the problem of a request, or of an event, that is not as the contract says."""
    first = errors[0]
    return ProblemError(
        HTTPStatus.BAD_REQUEST, f"{first.field}: expected {first.expected}, found {first.found}", errors
    )
