"""The rows of a shop's database that are users, items or ratings, as SQL for MySQL."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The source of a role's rows: a table, with or without an SQL condition, or one SQL statement."""

    table: str = ""
    """The table's name, for instance `customers`; empty where `query` is given."""
    where: str = ""
    """An SQL condition on the table's rows, for instance `customer_id > 0`; empty: all rows."""
    query: str = ""
    """One SELECT statement; empty where `table` is given."""

    @property
    def label(self) -> str:
        """The name in messages: the table's, or "the query"."""
        return self.table or "the query"

    @property
    def sql(self) -> str:
        """The SQL after `FROM` in a statement for MySQL."""
        if self.query:
            return f"({self.query}\n) AS source_rows"  # the query's last line may end in a comment
        if self.where:
            return f"(SELECT * FROM {quoted(self.table)} WHERE {self.where}\n) AS source_rows"  # noqa: S608
        return quoted(self.table)

    def rows_to_dict(self) -> dict[str, str]:
        return {key: value for key in ("table", "where", "query") if (value := getattr(self, key))}


def quoted(name: str) -> str:
    """A table's or column's name as MySQL has it."""
    return "`" + name.replace("`", "``") + "`"
