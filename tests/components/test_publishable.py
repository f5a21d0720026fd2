"""Pulumi can publish the components to its other languages: what its analyzer makes of their args and outputs."""

import inspect
from collections.abc import Mapping

import pulumi
import pytest
from pulumi.provider.experimental.analyzer import Analyzer, AnalyzeResult

import components
from components.common import Component
from tests.components.program import program_graph

CLASSES = [
    member
    for member in vars(components).values()
    if inspect.isclass(member) and issubclass(member, pulumi.ComponentResource)
]


@pytest.fixture(scope="module")
def package() -> AnalyzeResult:
    return Analyzer("recommender").analyze(CLASSES)


def test_every_component_is_published_with_its_inputs_and_outputs(package: AnalyzeResult) -> None:
    for name, component in package["component_definitions"].items():
        assert component.inputs, name
        assert component.outputs, name


def test_the_description_of_every_setting_arrives(package: AnalyzeResult) -> None:
    fields = {
        f"{type_}.{name}": field.description
        for type_, definition in package["type_definitions"].items()
        for name, field in definition.properties.items()
    }
    assert len(fields) > 50
    assert [name for name, description in fields.items() if not description] == []


def test_settings_are_plain_values(package: AnalyzeResult) -> None:
    for name, definition in package["type_definitions"].items():
        if name.endswith("Settings"):
            assert all(field.plain for field in definition.properties.values()), name


def test_what_is_published_as_an_output_is_registered(package: AnalyzeResult, monkeypatch: pytest.MonkeyPatch) -> None:
    registered: dict[str, set[str]] = {}

    def register(component: pulumi.ComponentResource, outputs: Mapping[str, object]) -> None:
        registered[type(component).__name__] = set(outputs)

    monkeypatch.setattr(Component, "register_outputs", register)
    program_graph("prod")
    published = {name: set(component.outputs) for name, component in package["component_definitions"].items()}
    assert len(registered) > 8
    assert registered == {name: published[name] for name in registered}


def test_no_output_is_a_map_or_a_list_of_objects(package: AnalyzeResult) -> None:
    # The provider host passes their entries on with Python's names (pulumi.provider.experimental, get_state).
    for component in package["component_definitions"].values():
        for name, output in component.outputs.items():
            assert output.additional_properties is None, f"{component.name}.{name}"
            assert output.items is None or output.items.ref is None, f"{component.name}.{name}"
