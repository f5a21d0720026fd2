"""Items that a customer has rated are not recommended again, neither when served nor when measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from psycopg import sql

from contracts import artifacts as contract
from contracts.dataset import Exclude, Serving
from functions.model_inference import handler as inference
from functions.shared import versions
from tests.functions.conftest import Store
from tests.functions.lambdas import LIMIT, ids, infer, load, request
from tests.functions.worlds import world
from tests.training import worlds
from training import artifact_writer, pipeline
from training.data import DAY, RatingData, from_table
from training.exclusion import excluded, excluded_from
from training.fit import Settings
from training.histories import histories, split
from training.metrics import K, rank
from training.scoring import scorer

V1, V2 = "20261101T000000Z-000001", "20261102T000000Z-000002"


def test_nothing_that_was_rated_is_served_and_the_list_is_full(store: Store) -> None:
    shop = world(V1)
    rated = {user: shop.best(shop.user(user), 20) for user in shop.user_ids}
    shop = replace(shop, excluded=rated)
    store.serve(shop)
    answers = infer(
        *(request(user, customer_number=user) for user in shop.user_ids),
        *(request(user, items=["I1"], customer_number=user) for user in shop.user_ids),
    )["responses"]
    for answer in answers:
        assert len(ids(answer)) == LIMIT
        assert not set(ids(answer)) & set(rated[answer["id"]])
    assert ids(answers[0]) == shop.best(shop.user("100"), LIMIT, rated["100"])
    assert all("I1" not in ids(answer) for answer in answers[len(shop.user_ids) :])
    visitor, known = infer(request(items=["I1"]), request(items=["I1"], customer_number="100"))["responses"]
    assert ids(visitor) == shop.best(shop.vector("I1"), LIMIT, ["I1"])
    assert known["similar_items"] == visitor["similar_items"]


def test_popular_items_leave_out_what_the_customer_rated(store: Store) -> None:
    """Opposite items have no mean direction, so the customer is answered with popular items."""
    shop = world(V1, excluded={"100": ["I59", "I57", "elsewhere"]})
    items = shop.items.copy()
    items[1] = -items[0]
    shop = replace(shop, items=items, recent={**shop.recent, "100": []})
    store.serve(shop)
    (answer,) = infer(request(items=["I0", "I1"], customer_number="100"))["responses"]
    assert answer["strategy"] == "popular"
    assert ids(answer) == ["I58", "I56", "I55", "I54", "I53"]


def test_who_has_rated_everything_is_answered_with_nothing_and_the_version_is_served(store: Store) -> None:
    shop = world(V1)
    replace(shop, excluded={"100": shop.item_ids}).publish(store.s3, store.bucket)
    assert load(store.bucket, V1)["active"] == V1
    (answer,) = infer(request(customer_number="100"))["responses"]
    assert (answer["recommended_items"], answer["strategy"]) == ([], "nothing")


def test_a_version_of_an_earlier_release_is_loaded_and_served(store: Store) -> None:
    """Its file has no column of excluded items; and a store that an earlier release filled has none, either."""
    shop = world(V1)
    files = shop.files()
    rows = [line.rsplit(b",", 1)[0] for line in files[contract.USER_CATALOG].splitlines()]
    files[contract.USER_CATALOG] = b"\n".join(rows)
    shop.publish(store.s3, store.bucket, shop.manifest(files), changed={"users": files[contract.USER_CATALOG]})
    load(store.bucket, V1)
    asked = request(customer_number="100")
    answers = [infer(asked)["responses"]]
    table = versions.tables(V1).recent_items
    store.connection.execute(sql.SQL("ALTER TABLE {} DROP COLUMN excluded").format(table))
    assert inference._inference is not None
    inference._inference._connection.drop()
    answers.append(infer(asked, request(items=["no such"]))["responses"][:1])
    assert ids(answers[0][0]) == ids(answers[1][0]) == shop.best(shop.user("100"), LIMIT)


def test_a_history_of_ten_thousand_items_is_loaded_and_left_out(store: Store) -> None:
    history = [f"an item of an earlier catalogue {n}" for n in range(contract.MAX_EXCLUDED_ITEMS - 30)]
    shop = world(V1)
    rated = shop.best(shop.user("100"), 30)
    shop = replace(shop, excluded={"100": [*history, *rated]})
    store.serve(shop)
    (answer,) = infer(request(customer_number="100"))["responses"]
    assert ids(answer) == shop.best(shop.user("100"), LIMIT, rated)


def test_of_a_long_history_what_the_model_reads_is_stored_and_no_more(store: Store) -> None:
    """A batch of 500 such customers would bring inference 500 times the whole history."""
    shop = world(V1)
    latest = [*shop.item_ids][: contract.MAX_RECENT_ITEMS]
    answers = []
    for version, more in ((V1, 0), (V2, 5_000)):
        recent = [*latest, *(f"an item of an earlier catalogue {n}" for n in range(more))]
        store.serve(replace(shop, version=version, recent={"100": recent}))
        answers.append(infer(request(customer_number="100", city="Nantes"))["responses"])
        query = sql.SQL("SELECT item_ids FROM {} WHERE user_id = '100'").format(versions.tables(version).recent_items)
        assert store.connection.execute(query).fetchall() == [(latest,)]
    assert answers[0] == answers[1]


def _films(serving: Serving, n_users: int = 40) -> RatingData:
    dataset = replace(worlds.FILMS, serving=serving)
    return from_table(worlds.films(n_users=n_users, n_films=120, mean=30), dataset, "films")


@pytest.mark.parametrize("exclude", [Exclude.RATED, Exclude.NONE])
def test_what_is_measured_is_what_is_served_item_by_item(exclude: Exclude, store: Store, tmp_path: Path) -> None:
    """A model of what was known before the test items, measured by training and served by loader and inference."""
    data = _films(Serving(exclude))
    cases = split(data, seed=1).test
    trained = pipeline.train(data, Settings(epochs=2))
    assert trained.metrics["serving"] == {"exclude": exclude.value}
    measured = rank(scorer(trained.model, trained.inputs, histories(data, cases.known), cases.user), cases, data)

    before = replace(
        data,
        **{name: getattr(data, name)[cases.known] for name in ("user", "item", "rating", "time")},
    )
    manifest = artifact_writer.write(replace(trained, data=before), tmp_path)
    for path in [*manifest.files, contract.MANIFEST]:
        body = manifest.to_json().encode() if path == contract.MANIFEST else (tmp_path / path).read_bytes()
        store.s3.put_object(Bucket=store.bucket, Key=f"{manifest.version}/{path}", Body=body)
    load(store.bucket, manifest.version)
    users = [data.users.ids[user] for user in cases.user]
    answers = infer(*(request(user, customer_number=user) for user in users), limit=K)["responses"]
    assert len(answers) > 20
    for answer, top in zip(answers, measured.top, strict=True):
        assert ids(answer) == [data.items.ids[item] for item in top]


def test_after_its_days_an_item_may_come_back() -> None:
    data = _films(Serving(Exclude.RATED, exclude_days=1))
    assert data.time is not None
    everything = np.ones(len(data.user), dtype=bool)
    published = excluded(data, everything)
    recent = data.time > data.time.max() - DAY
    assert published.sum() == recent.sum() < len(data.user)
    assert (published[data.user[recent], data.item[recent]] == 1).all()
    cases = split(data, seed=1).test
    place = {pair: k for k, pair in enumerate(zip(data.user.tolist(), data.item.tolist(), strict=True))}
    measured = excluded_from(data, cases)
    for user, item in zip(cases.user.tolist(), cases.item.tolist(), strict=True):
        asked = data.time[place[user, item]]
        known = cases.known & (data.user == user) & (data.time > asked - DAY)
        assert set(measured[[user]].indices) == set(data.item[known])


def test_a_rating_dated_after_now_lets_nothing_come_back() -> None:
    data = _films(Serving(Exclude.RATED, exclude_days=36_500))
    assert data.time is not None
    time = data.time.copy()
    time[0] = 1e18
    assert excluded(replace(data, time=time), np.ones(len(time), dtype=bool)).sum() == len(time)
