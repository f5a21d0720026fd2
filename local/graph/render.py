"""Renders the resource graph as text and as an SVG picture, grouped by component."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from local.graph.recorder import Graph, Node

LINE, WIDTH, GAP_X, GAP_Y, MARGIN = 17, 290, 130, 28, 24
"""Sizes in the picture, in pixels."""
ARROWHEAD = (
    '<defs><marker id="arrowhead" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M 0 0 L 8 4 L 0 8 z" fill="#9fb3d1"/></marker></defs>'
)


@dataclass(frozen=True)
class Component:
    """A component of the program and all resources below it."""

    name: str
    type: str
    nodes: tuple[Node, ...]
    needs: frozenset[str]
    """Components that its resources depend on."""

    @property
    def lines(self) -> list[str]:
        """Kinds of its resources with their numbers, each kind once."""
        kinds = Counter(_kind(node) for node in self.nodes if node.custom)
        return [kind if times == 1 else f"{kind} × {times}" for kind, times in sorted(kinds.items())]


def components(graph: Graph) -> list[Component]:
    """Returns the components that the program itself makes, by name: resources are registered in any order."""
    owner: dict[str, str] = {}
    members: dict[str, list[Node]] = {}
    tops: dict[str, Node] = {}
    waiting = list(graph.nodes)
    while waiting:
        later = []
        for node in waiting:
            if "pulumi:pulumi:Stack::" in node.parent:
                tops[node.urn] = node
                owner[node.urn] = node.urn
            elif node.parent in owner:
                owner[node.urn] = owner[node.parent]
                members.setdefault(owner[node.urn], []).append(node)
            else:
                later.append(node)
        if len(later) == len(waiting):
            raise ValueError(f"resources without a known parent: {[node.urn for node in later]}")
        waiting = later
    return [
        Component(
            top.name,
            top.type.rsplit(":", 1)[-1],
            tuple(sorted(members.get(urn, []), key=lambda node: (node.type, node.name))),
            frozenset(
                tops[owner[needed]].name
                for node in members.get(urn, [])
                for needed in node.depends_on
                if needed in owner and owner[needed] != urn
            ),
        )
        for urn, top in sorted(tops.items(), key=lambda item: item[1].name)
    ]


def as_text(graph: Graph) -> str:
    """Returns a paragraph for each component: the components that it needs, and its resources."""
    return "\n".join(_text_lines(_layered(components(graph))))


def _text_lines(layers: Sequence[Sequence[Component]]) -> Iterator[str]:
    for layer in layers:
        for component in layer:
            needs = f"  ← {', '.join(sorted(component.needs))}" if component.needs else ""
            yield f"{component.type} {component.name}{needs}"
            for node in component.nodes:
                if node.custom:
                    yield f"    {_kind(node):<46} {node.name}"
            yield ""


def as_svg(graph: Graph, title: str) -> str:
    """Returns a picture with a box for each component, from those that others need, on the left, to the right.

    An arrow leads from a component to those that need it.
    """
    layers = _layered(components(graph))
    boxes = dict(_boxes(layers))
    width = MARGIN + len(layers) * (WIDTH + GAP_X) - GAP_X + MARGIN
    height = max(box.bottom for box in boxes.values()) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        ARROWHEAD,
        f'<text x="{MARGIN}" y="{MARGIN + 6}" font-size="17" font-weight="bold">{escape(title)}</text>',
    ]
    for layer in layers:
        for component in layer:
            parts += [_arrow(boxes[needed], boxes[component.name]) for needed in sorted(component.needs)]
    for layer in layers:
        for component in layer:
            parts += _box(component, boxes[component.name])
    return "\n".join([*parts, "</svg>"]) + "\n"


@dataclass(frozen=True)
class _Box:
    x: int
    y: int
    bottom: int

    @property
    def middle(self) -> int:
        return (self.y + self.bottom) // 2


def _layered(all_components: Sequence[Component]) -> list[list[Component]]:
    """Places each component one layer after the last of those that it needs."""
    depth: dict[str, int] = {}
    by_name = {component.name: component for component in all_components}

    def depth_of(name: str) -> int:
        if name not in depth:
            depth[name] = 0
            depth[name] = max((depth_of(needed) + 1 for needed in by_name[name].needs), default=0)
        return depth[name]

    layers: list[list[Component]] = [[] for _ in range(max(map(depth_of, by_name)) + 1)]
    for component in all_components:
        layers[depth[component.name]].append(component)
    return layers


def _boxes(layers: Sequence[Sequence[Component]]) -> Iterator[tuple[str, _Box]]:
    for column, layer in enumerate(layers):
        y = MARGIN + 36
        for component in layer:
            bottom = y + 2 * LINE + 12 + len(component.lines) * LINE
            yield component.name, _Box(MARGIN + column * (WIDTH + GAP_X), y, bottom)
            y = bottom + GAP_Y


def _box(component: Component, box: _Box) -> Iterator[str]:
    yield (
        f'<rect x="{box.x}" y="{box.y}" width="{WIDTH}" height="{box.bottom - box.y}" rx="8" '
        'fill="#f6f8fb" stroke="#33507a"/>'
    )
    text = f'<text x="{box.x + 12}"'
    yield f'{text} y="{box.y + 20}" font-weight="bold" font-size="14">{escape(component.name)}</text>'
    yield f'{text} y="{box.y + 36}" fill="#5a6b85">{escape(component.type)}</text>'
    for number, line in enumerate(component.lines):
        yield f'{text} y="{box.y + 58 + number * LINE}">{escape(line)}</text>'


def _arrow(start: _Box, end: _Box) -> str:
    x1, x2 = start.x + WIDTH, end.x
    bend = (x2 - x1) // 2
    path = f"M {x1} {start.middle} C {x1 + bend} {start.middle}, {x2 - bend} {end.middle}, {x2} {end.middle}"
    return f'<path d="{path}" fill="none" stroke="#9fb3d1" stroke-width="1.5" marker-end="url(#arrowhead)"/>'


def _kind(node: Node) -> str:
    """`aws:s3/bucketPolicy:BucketPolicy` → `s3 BucketPolicy`."""
    package, module, name = node.type.split(":")
    return f"{package if package != 'aws' else module.split('/')[0]} {name}"
