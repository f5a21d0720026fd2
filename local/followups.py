"""Events that follow the answers of a run: items shown, chosen, bought and rated, and a second visit after that."""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.dataset import Dataset
from contracts.events import (
    CUSTOMER,
    EVENT_ID,
    ITEMS,
    NOTED,
    POSITION,
    PRODUCT,
    QUANTITY,
    RATING,
    RECOMMENDATION_ID,
    SESSION,
    TYPE,
    EventType,
    Strategy,
)
from emulator.errors import LocalRunError
from local.events import Event
from local.streaming import Streaming
from operations.recommendations import Record

FOLLOWED = 20
"""The most answers that are followed, each of another customer."""
ANSWER_KEYS = {"recommended_items", "similar_items", "model_version", "strategy", EVENT_ID}


@dataclass(frozen=True)
class _Followed:
    """An answer, and what its customer does with the item in the first place."""

    answer: Record
    noted: EventType

    @property
    def item(self) -> str:
        return str(self.answer["recommended_items"][0]["id"])


class FollowUps:
    """Sends the events. `missing` are those that did not come back."""

    def __init__(self, streaming: Streaming, spec: Dataset) -> None:
        self.missing: list[Event] = []
        self._streaming = streaming
        self._spec = spec

    def run(self, answers: Sequence[Record]) -> str:
        """Follows some of the answers, and says what became of it. Raises `LocalRunError` if an item that was bought or
        rated is recommended to its customer again, though the shop does not want it."""
        # By turns the chosen item is bought and rated.
        followed = [_Followed(answer, NOTED[n % len(NOTED)]) for n, answer in enumerate(_choose(answers))]
        acts = [act for each in followed for act in self._acts(each)]
        self.missing += self._streaming.send(acts)
        told = ", ".join(f"{count} {type_}s" for type_, count in Counter(act[TYPE] for act in acts).items())
        again = self._again(followed)
        if again:
            raise LocalRunError(
                f"items bought or rated: expected none to be recommended to the same customer again, found {again[0]}"
                f" and {len(again) - 1} more"
            )
        return f"{told}; what was bought or rated has left its customer's list" if followed else "no customer is known"

    def _acts(self, followed: _Followed) -> list[Event]:
        shown = [
            {PRODUCT: item["id"], POSITION: place} for place, item in enumerate(followed.answer["recommended_items"], 1)
        ]
        chosen = shown[:1]
        more = {RATING: self._spec.ratings.scale[1]} if followed.noted is EventType.RATING else {QUANTITY: 1}
        return [
            _act(followed.answer, EventType.IMPRESSION, shown),
            _act(followed.answer, EventType.CLICK, chosen),
            _act(followed.answer, followed.noted, [item | more for item in chosen]),
        ]

    def _again(self, followed: Sequence[_Followed]) -> list[str]:
        """Sends the visits again, as new ones, and returns what is recommended though it was bought or rated."""
        sent = self._streaming.put([_second_visit(each.answer) for each in followed])
        self.missing += self._streaming.wait_for(sent)
        answers = {str(record[EVENT_ID]): record for record in self._streaming.records()}
        return [
            f"item {each.item} of a {each.noted}"
            for each, event_id in zip(followed, sent, strict=True)
            if each.noted in self._spec.serving.excluding
            and each.item in [item["id"] for item in answers.get(event_id, {}).get("recommended_items", [])]
        ]


def _choose(answers: Sequence[Record]) -> list[Record]:
    """Returns one answer for each of a few customers whom the model knows."""
    chosen: dict[object, Record] = {}
    for answer in answers:
        if answer["strategy"] == Strategy.PERSONALIZED and answer["recommended_items"] and answer.get(CUSTOMER):
            chosen.setdefault(answer[CUSTOMER], answer)
    return list(chosen.values())[:FOLLOWED]


def _act(answer: Record, type_: EventType, items: Sequence[Mapping[str, object]]) -> Event:
    return {
        SESSION: answer[SESSION],
        TYPE: type_.value,
        CUSTOMER: answer[CUSTOMER],
        RECOMMENDATION_ID: answer[EVENT_ID],
        ITEMS: list(items),
    }


def _second_visit(answer: Record) -> Event:
    event = {key: value for key, value in answer.items() if key not in ANSWER_KEYS}
    return event | {SESSION: str(uuid.uuid4()), TYPE: EventType.BROWSE.value}
