"""Pulumi can publish the components to its other languages: its analyzer reads every one's args and outputs."""

import inspect

import pulumi
import pytest
from pulumi.provider.experimental.analyzer import Analyzer

import components

CLASSES = [
    member
    for member in vars(components).values()
    if inspect.isclass(member) and issubclass(member, pulumi.ComponentResource)
]


@pytest.mark.parametrize("component", CLASSES, ids=lambda component: str(component.__name__))
def test_the_analyzer_reads_the_component(component: type[pulumi.ComponentResource]) -> None:
    definition = Analyzer("recommender").analyze_component(component)
    assert definition.inputs
    assert definition.outputs
