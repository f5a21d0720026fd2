"""The quality report as a page that a person can read."""

from html import escape

from etl.quality import Report, TableCount

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Data quality {run}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
table {{ border-collapse: collapse; margin: 1rem 0; width: 100%; }}
th, td {{ border-bottom: 1px solid #ddd; padding: .4rem .6rem; text-align: left; }}
td.number, th.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
.verdict {{ padding: .6rem 1rem; border-radius: .4rem; background: {colour}; }}
</style>
<h1>Data quality of run {run}</h1>
<p class="verdict"><b>{verdict}</b></p>
{problems}
{notes}
<table><tr><th>Table</th><th class="number">Rows</th><th class="number">Accepted</th><th class="number">Rejected</th>
<th>Reasons</th></tr>
{rows}
</table>
<p>Rows of training data: {n_rows:,}. {last}</p>
<p>Thresholds: at most {max_rejected:.1%} of a table's rows rejected;
at least {min_rows:.0%} of the last run's rows.</p>
</html>
"""


def to_html(report: Report) -> str:
    passed = not report.problems
    return _PAGE.format(
        run=escape(report.run),
        colour="#dff3e0" if passed else "#fde2e0",
        verdict="Passed: the training data are replaced" if passed else "Failed: the training data stay as they were",
        problems="".join(f"<p>{escape(problem)}</p>" for problem in report.problems),
        notes="".join(f"<p>{escape(note)}</p>" for note in report.notes),
        rows="\n".join(_row(table) for table in report.tables),
        n_rows=report.rows,
        last=f"The last run, {escape(report.last.run)}, had {report.last.rows:,}." if report.last else "No run before.",
        max_rejected=report.thresholds.max_rejected,
        min_rows=report.thresholds.min_rows,
    )


def _row(table: TableCount) -> str:
    reasons = "; ".join(f"{escape(reason)}: {number:,}" for reason, number in sorted(table.rejected.items()))
    numbers = (f"{table.rows:,}", f"{table.accepted:,}", f"{table.rows - table.accepted:,}")
    cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
    return f"<tr><td>{escape(table.table)} ({table.role})</td>{cells}<td>{reasons or '–'}</td></tr>"
