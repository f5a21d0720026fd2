"""The resource graph as text and as a picture."""

import xml.etree.ElementTree as ET

import pulumi

from components import PrivateBucket
from local.graph.recorder import build
from local.graph.render import as_svg, as_text, components


class Shelf(pulumi.ComponentResource):
    """A component that depends on a bucket."""

    def __init__(self, name: str, bucket: PrivateBucket) -> None:
        super().__init__("test:index:Shelf", name, {}, None)
        PrivateBucket(f"{name}-own", {"tags": {"of": bucket.name}}, pulumi.ResourceOptions(parent=self))


def program() -> None:
    Shelf("shelf", PrivateBucket("store", {}))


def test_resources_are_grouped_by_the_component_that_the_program_makes() -> None:
    shelf, store = components(build(program))
    assert (store.name, shelf.name, list(shelf.needs)) == ("store", "shelf", ["store"])
    assert "s3 BucketPolicy" in shelf.lines


def test_the_text_names_every_resource_and_what_each_component_needs() -> None:
    graph = build(program)
    text = as_text(graph)
    assert "Shelf shelf  ← store" in text
    assert all(node.name in text for node in graph.nodes)


def test_the_picture_is_svg_with_a_box_a_component_and_a_line_a_dependency() -> None:
    picture = ET.fromstring(as_svg(build(program), "a & b"))
    space = "{http://www.w3.org/2000/svg}"
    assert len(picture.findall(f"{space}rect")) == 3
    assert len(picture.findall(f"{space}path")) == 1
    assert "a & b" in [text.text for text in picture.findall(f"{space}text")]
