"""An evaluation as lines of text and as one web page with its figures."""

import base64
import html
import io
from collections.abc import Iterator, Mapping, Sequence

import torch
from matplotlib.figure import Figure

from ctgan_utils import metrics
from ctgan_utils.evaluation.evaluate import Evaluation, Report, pixels
from ctgan_utils.evaluation.ranking import Place
from ctgan_utils.figures import alternative_text
from ctgan_utils.figures.critics import telling_figure
from ctgan_utils.figures.datasets import appearance_figure
from ctgan_utils.figures.distances import curve_figure
from ctgan_utils.figures.embeddings import pca_figure
from ctgan_utils.figures.images import images_figure, nearest_figure
from ctgan_utils.figures.wavelets import packets_figure
from ctgan_utils.outputs import page as page_of

SHOWN = 16  # samples in a figure
COLUMNS = "generated", "same patients", "other patients"  # of the measures; the last two are real


def lines(report: Report) -> Iterator[str]:
    """The distances, every measure beside what real slices get, memorisation, warnings."""
    r = report
    size, kind = f"{r['size']}x{r['size']}", "patients" if r["grouped_by"] == "patient" else "groups"
    yield f"{r['metric']} {r['value']:.2f} against {r['against']}"
    yield f"  {r['n']:,} slices of {r['patients']:,} {kind} in each set of real slices, {size}"
    yield f"  {r['metric']}: {r['features']:,} features of images at {r['input_size']}x{r['input_size']}"
    columns = [name for name in COLUMNS if name in next(iter(r["measures"].values()))]
    yield f"  {'':26}" + "".join(f"{name:>16}" for name in columns)
    for name, values in (r["distances"] | r["measures"]).items():
        shown = ("-" if values[column] is None else f"{values[column]:.4g}" for column in columns)
        yield f"  {name:26}" + "".join(f"{value:>16}" for value in shown)
    for name, values in r["distances"].items():
        low, high = values["interval"]
        yield f"  {name} with ever more slices and {kind}: 95 % interval {low:.4g} to {high:.4g}"
        if values["seen"] is not None:
            yield f"  {name} to {kind} that the generator saw: {values['seen']:.4g}"
    for name, found in (r["critic"] or {}).items():
        low, high = found["auc_interval"]
        yield f"  new critics, {name}: AUC {found['auc']:.3f}, 95 % interval {low:.3f} to {high:.3f}"
    if r["memorisation"] is None:
        yield "  memorisation: not measured, no slices are known that the generator never saw"
    else:
        yield f"  {'memorisation':26}{'ratio':>12}{'copied':>12}{'by chance':>12}{'z':>12}"
        for space, found in r["memorisation"].items():
            shares = (f"{found[name]:.1%}" for name in ("copied_share", "copied_share_expected"))
            copied = "".join(f"{share:>12}" for share in shares)
            yield f"  {'in ' + space:26}{found['ratio']:12.2f}{copied}{found['data_copying_z']:12.1f}"
    yield from (f"warning: {warning}" for warning in r["warnings"])


def ranking(places: Sequence[Place], metric: str) -> Iterator[str]:
    """A line for each place, the best first."""
    for number, place in enumerate(places, start=1):
        low, high = place.interval
        seeds = f", mean of {len(place.runs)} seeds" if len(place.runs) > 1 else ""
        tied = f"; not told from {', '.join(place.tied)}" if place.tied else ""
        yield f"{number}. {place.name}: {metric} {place.value:.2f} ({low:.2f} to {high:.2f}){seeds}{tied}"


def page(evaluations: Mapping[str, Evaluation], places: Sequence[Place]) -> bytes:
    """One web page, bytes, with the ranking, and the lines and figures of each Evaluation by name."""
    parts = []
    for name, e in evaluations.items():
        text = html.escape("\n".join(lines(e.report)))
        pictures = "".join(map(_picture, figures(e)))
        parts.append(f"<h2>{html.escape(name)}</h2><pre>{text}</pre>{pictures}")
    metric = next(iter(evaluations.values())).report["metric"]
    ranked = "\n".join(ranking(places, metric))
    body = f"<pre>{html.escape(ranked)}</pre>\n" + "\n".join(parts)
    return page_of("Generated images, measured", body)


def figures(e: Evaluation) -> Iterator[Figure]:
    """The figures of an Evaluation, one after another."""
    real, n = e.real.main.images, len(e.fake)
    about = f"{n:,} images a side; {e.report['real']}; seed {e.report['seed']}"
    metric = f"{e.report['metric']}, {e.report['features']} features at {e.report['input_size']} pixels"
    shown = min(SHOWN, n)
    both = torch.cat([real[:shown], e.fake[:shown]])
    columns = min(8, shown)
    yield images_figure(both, f"First half: real; second half: generated. {about}.", columns=columns)
    draws = f"Mean and range of five random draws; {metric}; {about}."
    yield curve_figure(e.real_features, None, e.fake_features, draws)
    panels = {"features": (e.real_features, e.fake_features)}
    yield pca_figure(panels, 2, f"The features on two principal components; {metric}; {about}.")
    yield appearance_figure(real, e.fake, f"Grey levels, and power by frequency; {about}.")
    shown_sets = {name: e.packets[name] for name in (list(e.packets)[-1], "generated")}
    caption = f"Wavelet packets beside real slices: distance (top), power (bottom); {about}."
    yield packets_figure(shown_sets, caption)
    if e.critic:
        caption = f"Slices with the score of critics that had not seen them (1: real); {about}."
        yield telling_figure(real, e.fake, e.critic.real_scores, e.critic.fake_scores, caption)
    train = e.real.train.images
    nearest = metrics.nearest_distances(pixels(e.fake[:shown]), pixels(train))[1][:, 0]
    caption = f"Samples, and below each the real slice nearest in pixels; {about}."
    yield nearest_figure(e.fake, train, list(enumerate(nearest)), caption, columns)


def _picture(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    code = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(alternative_text(figure))}" src="data:image/png;base64,{code}">'
