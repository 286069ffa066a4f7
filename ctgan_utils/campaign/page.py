"""A campaign as one page: how far it is, what the systems have come to, and what their samples look like."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from ctgan_utils.campaign.plan import Plan, Run
from ctgan_utils.campaign.table import DISTANCES, PAGE, SHEET, Row, Summary, folder_of, summaries
from ctgan_utils.outputs import page
from ctgan_utils.runtime import atomic_write

SHARES = "precision", "recall", "1-NN accuracy", "critic AUC"
ABOUT = """<p>Each line is one system. Each distance and each measure is the mean over its seeds; below it
stands the 95 % interval of that mean by Student's t, where there are two seeds or more. Generated slices are
measured against patients that the generator never saw. In brackets stands what real slices of other patients
measure: no generator can be expected to do better. For FD-ct and FWD, less is better; precision and recall
are best at 1, and at 1/2 the nearest-neighbour accuracy and the critic's AUC.</p>"""


def write_page(campaign: Path, plan: Plan, rows: Sequence[Row]) -> None:
    """Write campaign.html, with the samples of each entry's first seed inside."""
    planned = sum(entry.seeds for entry in plan.entries)
    head = ["system", "data", "images seen", "seeds", *DISTANCES, *SHARES, "samples"]
    lines = [_line(campaign, summary) for summary in summaries(plan, rows)]
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    machines = "; ".join(sorted({row["machine"] for row in rows}))
    body = (
        f"<p>{len(rows):,} of {planned:,} runs are done.</p>{ABOUT}"
        f"<table><tr>{cells}</tr>{''.join(lines)}</table>"
        f"<p>Trained on: {html.escape(machines) or 'no machine yet'}. Every run stands in campaign.csv.</p>"
    )
    atomic_write(campaign / PAGE, page("Campaign", body, "campaign"))


def _line(campaign: Path, summary: Summary) -> str:
    entry, failed = summary.entry, [row["outcome"] for row in summary.rows if row["n"] is None]
    seeds = f"{len(summary.rows)} of {entry.seeds}" + "".join(f"<br>{html.escape(text)}" for text in failed)
    sheet = folder_of(campaign, Run(entry, 0)) / SHEET
    picture = ""
    if sheet.exists():
        code = base64.b64encode(sheet.read_bytes()).decode()
        what = f"16 samples of {entry.name}, seed 0"
        picture = f'<img alt="{html.escape(what)}" src="data:image/png;base64,{code}">'
    cells = [html.escape(entry.name), html.escape(entry.data), f"{entry.images:,}", seeds]
    cells += [_cell(summary, name) for name in (*DISTANCES, *SHARES)]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in [*cells, picture]) + "</tr>"


def _cell(summary: Summary, column: str) -> str:
    """ "mean (low to high) [floor]" """
    mean = summary.mean(column)
    if mean is None:
        return ""
    text, spread, floor = f"{mean:.3g}", summary.interval(column), summary.mean(f"{column} floor")
    if spread:
        text += f"<br>{spread[0]:.3g} to {spread[1]:.3g}"
    return text if floor is None else f"{text}<br>[{floor:.3g}]"
