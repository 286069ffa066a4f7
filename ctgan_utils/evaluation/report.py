"""An evaluation as lines of text and as one web page with its figures."""

import base64
import html
import io
from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.figure import Figure

from ctgan_utils import metrics
from ctgan_utils.evaluation.evaluate import Evaluation, Report, pixels, rank
from ctgan_utils.figures.datasets import appearance_figure
from ctgan_utils.figures.distances import curve_figure
from ctgan_utils.figures.embeddings import pca_figure
from ctgan_utils.figures.images import images_figure, nearest_figure
from ctgan_utils.outputs import mark

SHOWN = 16  # samples in a figure


def lines(report: Report) -> Iterator[str]:
    """The distance, every measure beside what real slices get, memorisation, warnings."""
    r = report
    low, high = r["interval"]
    yield f"{r['metric']} {r['value']:.2f}, 95 % interval {low:.2f} to {high:.2f}"
    size = f"{r['size']}x{r['size']}"
    yield f"  {r['n']:,} images a side at {size}; extrapolated to infinitely many {r['extrapolated']:.2f}"
    if r["floor"] is None:
        yield f"  real against real: not measured, it needs {2 * r['n']:,} real images"
    else:
        yield f"  real against real {r['floor']:.2f}, ratio {r['ratio'] or 0:.1f}"
    if r["floor_between_groups"] is not None:
        yield f"  real against real of other patients (or groups) {r['floor_between_groups']:.2f}"
    yield f"  {'':26}{'generated':>12}{'real':>12}"
    for name, values in r["measures"].items():
        yield f"  {name:26}" + "".join(f"{value:12.4g}" for value in values.values())
    if r["memorisation"] is None:
        yield "  memorisation: not measured; train and evaluate with --hold-out 0.2"
    else:
        yield f"  {'memorisation':26}{'ratio':>12}{'copied':>12}{'by chance':>12}{'z':>12}"
        for space, found in r["memorisation"].items():
            shares = (f"{found[name]:.1%}" for name in ("copied_share", "copied_share_expected"))
            copied = "".join(f"{share:>12}" for share in shares)
            yield f"  {'in ' + space:26}{found['ratio']:12.2f}{copied}{found['data_copying_z']:12.1f}"
    yield from (f"warning: {warning}" for warning in r["warnings"])


def ranking(ranked: Mapping[str, Report]) -> Iterator[str]:
    """A line for each of the ranked reports, the best first."""
    for place, (name, r) in enumerate(ranked.items(), start=1):
        low, high = r["interval"]
        tied = f"; not told from {', '.join(r['tied'])}" if r["tied"] else ""
        yield f"{place}. {name}: {r['metric']} {r['value']:.2f} ({low:.2f} to {high:.2f}){tied}"


def page(evaluations: Mapping[str, Evaluation]) -> bytes:
    """One web page, bytes, with the lines and figures of each Evaluation by name, the best first."""
    parts = []
    for name, e in evaluations.items():
        text = html.escape("\n".join(lines(e.report)))
        pictures = "".join(
            f'<img src="data:image/png;base64,{base64.b64encode(_png(figure)).decode()}">'
            for figure in figures(e)
        )
        parts.append(f"<h2>{html.escape(name)}</h2><pre>{text}</pre>{pictures}")
    ranked = "\n".join(ranking(rank({name: e.report for name, e in evaluations.items()})))
    return PAGE.format(mark=mark(), ranking=html.escape(ranked), parts="\n".join(parts)).encode()


def figures(e: Evaluation) -> Iterator[Figure]:
    """The figures of an Evaluation, one after another."""
    n, about = len(e.fake), f"{len(e.fake):,} images a side; {e.report['real']}"
    shown = min(SHOWN, n)
    both = np.concatenate([e.real[:shown], e.fake[:shown]])
    columns = min(8, shown)
    yield images_figure(both, f"First half: real; second half: generated. {about}.", columns=columns)
    yield curve_figure(
        e.real_features, None, e.fake_features, f"Mean and range of five random draws; {about}."
    )
    panels = {"features": (e.real_features, e.fake_features)}
    yield pca_figure(panels, 2, f"The features on two principal components; {about}.")
    yield appearance_figure(e.real, e.fake, f"Grey levels, and power by frequency; {about}.")
    nearest = metrics.nearest_distances(pixels(e.fake[:shown]), pixels(e.train))[1][:, 0]
    caption = f"Samples, and below each the real slice nearest in pixels; {about}."
    yield nearest_figure(e.fake, e.train, list(enumerate(nearest)), caption, columns)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    return buffer.getvalue()


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">{mark}<title>Evaluation</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem }}
pre {{ background: #f6f6f6; padding: 1rem; overflow-x: auto }}
img {{ max-width: 100%; display: block; margin: 1rem 0 }}
</style></head><body><h1>Generated images, measured</h1><pre>{ranking}</pre>
{parts}
</body></html>
"""
