"""The tables of the report, as HTML."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from contracts.columns import Kind
from training.data import RatingData
from training.metrics import ERROR, NDCG, K, figure


def compared(results: Mapping[str, Mapping[str, float]], title: str, what: str) -> str:
    """Returns the model and the baselines, a row for each."""
    cases = results["model"]["cases"]
    heading = f"<h2>{title}</h2><p>{cases} cases: {what}.</p>"
    if not cases:
        return heading
    names = [name for name in results["model"] if name not in ("cases", ERROR)]
    rows = [
        (escape(model), [escape(model), *(_number(figure(values, name)) for name in names)])
        for model, values in results.items()
    ]
    return heading + _table(["", *names], rows)


def sessions(results: Sequence[Mapping[str, Any]]) -> str:
    """Returns the figures of visitors without an account, by the length of the session."""
    if not results or not results[0]["cases"]:
        return ""
    rows = [
        (
            "",
            [
                _number(str(each["items"])),
                "with" if each["features"] else "without",
                *(_number(figure(each, name)) for name in (NDCG, f"recall@{K}")),
            ],
        )
        for each in results
    ]
    about = "The same cases, as a visitor without an account would ask: only the latest items are told."
    return f"<h2>New visitors</h2><p>{about}</p>" + _table(["items", "features", NDCG, f"recall@{K}"], rows)


def new_items(found: Mapping[str, Any]) -> str:
    """The figures of items that the measured model had never seen."""
    if not found["items"] or not found["all"]["cases"]:
        return ""
    about = (
        f"{found['items']} items were held out of a training, with all their ratings, and embedded by the item tower "
        f"from their features: {found['all']['cases']} cases. An order of them by lot has {found['chance']:.4f}."
    )
    rows = [
        ("", [name, *(_number(figure(found[part], metric)) for metric in (NDCG, f"recall@{K}"))])
        for part, name in (("all", "among all items"), ("new", "among the new ones"))
    ]
    return f"<h2>New items</h2><p>{about}</p>" + _table(["", NDCG, f"recall@{K}"], rows)


def where(parts: Sequence[Mapping[str, Any]], best: str) -> str:
    """Returns the groups of cases; one where the model is ahead or behind by two standard errors is coloured."""
    rows = []
    for part in parts:
        ahead = part["difference"] / part[ERROR] if part[ERROR] else 0.0
        colour = "passed" if ahead > 2 else "refused" if ahead < -2 else ""
        figures = (f"{part['model']:.4f}", f"{part['best']:.4f}", f"{part['difference']:+.4f} ± {part[ERROR]:.4f}")
        rows.append((colour, [part["by"], *map(_number, (part["part"], str(part["cases"]), *figures))]))
    if not rows:
        return ""
    heading = f"<h2>Where it wins and loses</h2><p>{NDCG} beside the best baseline, {escape(best)}.</p>"
    return heading + _table(["", "from–to", "cases", "model", escape(best), "difference"], rows)


def misses(found: Sequence[Mapping[str, Any]], data: RatingData, names: Mapping[str, str]) -> str:
    if not found:
        return ""
    place = {key: number for number, key in enumerate(data.items.ids)}

    def called(ids: Iterable[str]) -> str:
        return item_names(data, [place[id_] for id_ in ids], names)

    rows = [
        (
            "",
            [
                called(miss["recent"]),
                called([miss["wanted"]]),
                _number(f"{miss['rank']:g}"),
                called(miss["recommended"]),
            ],
        )
        for miss in found
    ]
    return "<h2>The worst misses</h2>" + _table(["these lately", "wanted", "its rank", "got"], rows)


def item_names(data: RatingData, items: Iterable[int], names: Mapping[str, str]) -> str:
    return "<br>".join(escape(_name(data, item, names)) for item in items)


def _name(data: RatingData, item: int, names: Mapping[str, str]) -> str:
    """Returns the item's name and id; without a name, the texts among the item's columns."""
    key = data.items.ids[item]
    if name := names.get(key):
        return f"{name} ({key})"
    texts = []
    for column in data.dataset.items.columns:
        value = data.items.columns[column.name][item]
        if column.kind.is_list:
            value = (" " if column.kind is Kind.TEXT else ", ").join(value)
        if not column.kind.is_number and value:
            texts.append(value[:60])
    return " · ".join([key, *texts])


def _table(head: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """`rows` are (class, cells); a cell made by `_number` is a whole one."""
    body = "".join(
        f'<tr class="{kind}">{"".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in cells)}</tr>'
        for kind, cells in rows
    )
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>{body}</table>"


def _number(text: str) -> str:
    return f'<td class="number">{escape(text)}</td>'
