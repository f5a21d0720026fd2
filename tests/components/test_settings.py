"""The stack's configuration."""

import json
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

import settings
from components import Delivery
from local.graph.recorder import build


def load(**config: Any) -> settings.Settings:
    texts = {
        f"recommender:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in config.items()
    }
    pulumi.runtime.set_all_config(texts)
    return settings.load()


def test_every_key_has_a_default() -> None:
    assert load() == settings.Settings()


def test_a_components_settings_are_those_that_the_component_takes() -> None:
    given: dict[str, Any] = {
        "vectors": {"multi_az": True, "storage_gb": 50},
        "stream": {"processor_buffer_mb": 0.2},
        "network": {"zones": 3},
    }
    loaded = load(**given)
    assert {"vectors": loaded.vectors, "stream": loaded.stream, "network": loaded.network} == given


def test_all_wrong_keys_are_named_at_once_with_what_was_expected_and_what_came() -> None:
    with pytest.raises(settings.SettingsError) as error:
        load(
            vectors={"multi_az": "yes", "storage_gb": 50.5, "sorage_gb": 50},
            network={"subnet_ids": "subnet-1", "zones": True},
            customer_managed_key="maybe",
            stream="fast",
        )
    lines = str(error.value).splitlines()
    assert [line.split(":")[1] for line in lines] == [
        "customer_managed_key",
        "network.zones",
        "network.subnet_ids",
        "vectors.storage_gb",
        "vectors.multi_az",
        "vectors.sorage_gb",
        "stream",
    ]
    assert "recommender:vectors.multi_az: expected true or false, got 'yes'" in lines
    assert "recommender:network.zones: expected a whole number, got True" in lines


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("recommender:vectros", "recommender:vectros: no such key: did you mean vectors?"),
        ("recommender:customer_manged_key", "no such key: did you mean customer_managed_key?"),
        ("recommender:nothing", "recommender:nothing: no such key: expected one of dataset_file, "),
        ("recomender:vectors", "nothing reads the namespace 'recomender': did you mean recommender?"),
    ],
)
def test_a_misspelt_section_is_refused_with_the_nearest_name(key: str, message: str) -> None:
    pulumi.runtime.set_all_config({key: "{}", "aws:region": "eu-west-1", "pulumi:tags": "{}"})
    with pytest.raises(settings.SettingsError) as error:
        settings.load()
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_misspelt_key_of_a_section_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(
        settings.SettingsError, match=r"^recommender:vectors.multi_za: no such key: did you mean multi_az"
    ):
        load(vectors={"multi_za": True})


def test_a_choice_is_one_of_the_choices() -> None:
    assert load(stream={"delivery": "event_source"}).stream == {"delivery": Delivery.EVENT_SOURCE}
    with pytest.raises(settings.SettingsError) as error:
        load(stream={"delivery": "lambda"})
    assert str(error.value) == (
        "recommender:stream.delivery: expected one of firehose_transform, event_source, got 'lambda'"
    )


TEXT = st.text(st.characters(exclude_categories=["C", "Z"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=4)


@given(st.sampled_from(sorted({*settings.KEYS} - {"dataset_file", "source"})), st.data())
def test_any_json_is_loaded_as_it_is_or_refused_with_a_line_for_each_wrong_key(key: str, data: st.DataObject) -> None:
    names = st.sampled_from([*getattr(settings.KEYS[key], "__annotations__", {}), "else"])
    value = data.draw(VALUES | st.dictionaries(names, VALUES))
    try:
        loaded = load(**{key: json.dumps(value)})
    except settings.SettingsError as error:
        lines = str(error).splitlines()
    else:
        lines = []
        assert getattr(loaded, key) == value
    assert [line for line in lines if not line.startswith(f"recommender:{key}")] == []


def test_what_the_program_wires_is_no_setting() -> None:
    with pytest.raises(settings.SettingsError, match=r"vectors\.vpc_id: no such key: expected one of"):
        load(vectors={"vpc_id": "vpc-1"})


def test_a_password_stays_secret() -> None:
    def program() -> None:
        loaded = settings.load()
        pulumi.export("password", loaded.db_password)
        pulumi.export("source", loaded.source)

    config = {"recommender:source": json.dumps({"host": "db", "username": "u", "password": "p"})}
    outputs = build(program, config=config).outputs
    assert {name: secret for name, (_, secret, _) in outputs.items()} == {"password": True, "source": False}
    assert outputs["source"].value == {"host": "db", "username": "u"}


@pytest.mark.parametrize("source", [{"password": 12345}, "12345", {"password": ["12345"]}])
def test_a_wrong_password_is_refused_and_not_shown(source: Any) -> None:
    with pytest.raises(
        settings.SettingsError, match=r"recommender:source.*: expected .*, got what is not shown"
    ) as error:
        load(source=source)
    assert "12345" not in str(error.value)
