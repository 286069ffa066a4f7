"""How often a 95 % bootstrap interval of FD-ct holds the truth, drawing slices or patients: a table.

    python tests/benchmarks/patients.py

Phantoms can be drawn without end, so the truth can be had: the distance of the shipped Small GAN to 12,000
phantoms of some 850 patients. From these patients, 100 times, 70 are drawn with replacement, as a hospital
might have sent them, and an interval is made from their slices alone. data/results/patient_bootstrap.csv
holds what came out.
"""

import csv
import io

import numpy as np

from ctgan_utils import data, metrics
from ctgan_utils.evaluation import features
from ctgan_utils.runtime import REPOSITORY, atomic_write
from ctgan_utils.sampling import load_shipped, sample

PHANTOMS, SEED = 12_000, 100  # patients whom no generator and no embedding has seen
PATIENTS, DRAWS, RESAMPLES = 70, 100, 100


def main():
    extractor = features.load_extractor("ct")
    ct = data.load_phantom(PHANTOMS, 64, SEED)
    real = features.cached_features(extractor, ct.images)
    fake = features.extract(extractor, sample(load_shipped("small")[0], PHANTOMS, seed=7))
    truth = metrics.frechet_distance(real, fake)
    slices_of = [np.flatnonzero(ct.groups.numpy() == patient) for patient in ct.groups.unique().numpy()]
    rows = []
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        parts = [slices_of[k] for k in rng.integers(len(slices_of), size=PATIENTS)]
        patients = np.repeat(np.arange(PATIENTS), [len(part) for part in parts])
        x = real[np.concatenate(parts)]
        n = len(x)
        y = fake[rng.choice(len(fake), n, replace=False)]
        value = metrics.frechet_distance(x, y)
        kinds = {
            "slices": lambda rng, n=n: metrics.resample(n, rng),
            "patients": lambda rng, patients=patients: metrics.resample_patients(patients, rng),
        }
        for kind, rows_of in kinds.items():
            resampled = [
                metrics.frechet_distance(x[rows_of(rng)], y[metrics.resample(n, rng)])
                for _ in range(RESAMPLES)
            ]
            low, high = metrics.interval(value, resampled)
            about = {"resampled": kind, "draw": draw, "value": value, "low": low, "high": high}
            about |= {"truth": truth, "n": n, "patients": PATIENTS, "pool_patients": len(slices_of)}
            rows.append({key: round(v, 4) if isinstance(v, float) else v for key, v in about.items()})
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(REPOSITORY / "data" / "results" / "patient_bootstrap.csv", buffer.getvalue().encode())
    for kind in ("slices", "patients"):
        of = [row for row in rows if row["resampled"] == kind]
        share = np.mean([row["low"] <= row["truth"] <= row["high"] for row in of])
        width = np.mean([row["high"] - row["low"] for row in of])
        print(
            f"{kind:9} {share:.0%} of {len(of)} intervals hold the truth {truth:.2f}; mean width {width:.2f}"
        )


if __name__ == "__main__":
    main()
