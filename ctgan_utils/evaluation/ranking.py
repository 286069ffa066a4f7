"""Which of several generators is better: paired comparisons, by runs or by seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from scipy import stats

from ctgan_utils import metrics
from ctgan_utils.evaluation.evaluate import Evaluation


@dataclass(frozen=True)
class Place:
    """Where a system stands among others."""

    name: str
    runs: tuple[str, ...]  # what was evaluated: one run, or one for each of several seeds
    value: float  # of the report; the mean over the runs
    interval: tuple[float, float]  # 95 %: of other slices and samples for one run, of other seeds for several
    tied: tuple[str, ...]  # those whose difference to it has an interval that holds 0


def rank(evaluations: Mapping[str, Evaluation], system_of: Mapping[str, str] | None = None) -> list[Place]:
    """The places of evaluations {run: Evaluation} with one set of references, the lowest value first.

    system_of, {run: system}, says which runs differ in their seed only; without it each stands for itself.
    Two single runs are compared over the same bootstrap resamples: a resample that draws hard patients is
    hard for both, so their difference scatters less than either. That is a statement on the two runs. As soon
    as a system has several seeds, its runs are what is counted, by Student's t with one spread for both
    systems: a statement on the systems.
    """
    name_of = dict(system_of or {})
    ordered = sorted(evaluations, key=lambda run: name_of.get(run, run))
    systems = {name: list(runs) for name, runs in groupby(ordered, lambda run: name_of.get(run, run))}
    of = {name: [evaluations[run] for run in runs] for name, runs in systems.items()}
    means = {name: float(np.mean([e.report["value"] for e in found])) for name, found in of.items()}
    order = sorted(means, key=means.__getitem__)
    places = []
    for name in order:
        pairs = {other: difference(of[name], of[other]) for other in order if other != name}
        tied = tuple(other for other, (low, high) in pairs.items() if low <= 0 <= high)
        places.append(Place(name, tuple(systems[name]), means[name], _interval(of[name]), tied))
    return places


def difference(a: Sequence[Evaluation], b: Sequence[Evaluation]) -> tuple[float, float]:
    """The 95 % interval of the first system's value less the second's."""
    if len(a) == len(b) == 1:
        gap = a[0].report["value"] - b[0].report["value"]
        return metrics.difference_interval(gap, a[0].resampled - b[0].resampled)
    x, y = (np.array([e.report["value"] for e in runs]) for runs in (a, b))
    freedom = len(x) + len(y) - 2
    variance = (((x - x.mean()) ** 2).sum() + ((y - y.mean()) ** 2).sum()) / freedom
    reach = stats.t.ppf(0.975, freedom) * np.sqrt(variance * (1 / len(x) + 1 / len(y)))
    return float(x.mean() - y.mean() - reach), float(x.mean() - y.mean() + reach)


def _interval(runs: Sequence[Evaluation]) -> tuple[float, float]:
    if len(runs) == 1:
        return runs[0].report["interval"]
    found = metrics.mean_interval([e.report["value"] for e in runs])
    assert found is not None
    return found
