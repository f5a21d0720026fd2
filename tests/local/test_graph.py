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
        PrivateBucket(f"{name}-own", {"common": {"kms_key_arn": bucket.arn}}, pulumi.ResourceOptions(parent=self))


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


class Cabinet(pulumi.ComponentResource):
    """A component that depends on a bucket and on a shelf that depends on it, too."""

    def __init__(self, name: str, bucket: PrivateBucket, shelf: Shelf) -> None:
        super().__init__("test:index:Cabinet", name, {}, None)
        options = pulumi.ResourceOptions(parent=self, depends_on=[shelf])
        PrivateBucket(f"{name}-own", {"common": {"kms_key_arn": bucket.arn}}, options)


def program_with_a_shortcut() -> None:
    store = PrivateBucket("store", {})
    Cabinet("cabinet", store, Shelf("shelf", store))


def test_the_picture_is_svg_with_a_box_a_component_and_an_arrow_for_each_dependency_that_the_text_lists() -> None:
    graph = build(program_with_a_shortcut)
    assert "Cabinet cabinet  ← shelf, store" in as_text(graph)
    picture = ET.fromstring(as_svg(graph, "a & b"))
    space = "{http://www.w3.org/2000/svg}"
    assert len(picture.findall(f"{space}rect")) == 4
    arrows = picture.findall(f"{space}path")
    assert len(arrows) == 3
    heads = {marker.get("id") for marker in picture.iter(f"{space}marker")}
    assert {arrow.get("marker-end", "").removeprefix("url(#").removesuffix(")") for arrow in arrows} == heads
    assert "a & b" in [text.text for text in picture.findall(f"{space}text")]
