"""Ratios of speed, each measured against its alternative in this one run: make bench."""

import contextlib
import io
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from torch.nn import functional

from ctgan_utils import data, metrics, phantom
from ctgan_utils.data.image_files import write_images
from ctgan_utils.networks.blocks import InterpolatedAddition
from ctgan_utils.runtime import choose_precision
from ctgan_utils.systems import get_experiment
from ctgan_utils.training.trainer import Trainer

REPEATS = 7


def median_seconds(*actions):
    """The median time of each action, taken in turn so that a slow moment hits all alike."""
    for action in actions:
        action()
    times = [[] for _ in actions]
    for _ in range(REPEATS):
        for k, action in enumerate(actions):
            begun = time.perf_counter()
            action()
            times[k].append(time.perf_counter() - begun)
    return [statistics.median(t) for t in times]


def report(what, fast, slow):
    with contextlib.redirect_stderr(io.StringIO()):  # progress of what is timed
        quick, long = median_seconds(fast, slow)
    print(f"{what:62}{long / quick:6.1f} x   ({quick * 1e3:.1f} against {long * 1e3:.1f} ms)", flush=True)


def trainer(images, dtype, memory_format):
    torch.manual_seed(0)
    e = get_experiment("small", "lesson")
    t = Trainer(e, *e.networks(), {"images": images}, dtype=dtype)
    for network in (t.G, t.D):
        network.to(memory_format=memory_format)
    return t


def main():
    images = torch.from_numpy(phantom.generate(500, 64, 0).images)[:, None]
    auto = choose_precision("auto", torch.device("cpu"))
    ours = trainer(images, auto, torch.channels_last)
    plain = trainer(images, torch.float32, torch.contiguous_format)
    report(f"training step: {auto}, channels_last; against fp32", ours.train_step, plain.train_step)

    addition = InterpolatedAddition(64, 32, 2, "bilinear")
    x = torch.randn(64, 64, 32, 32)

    def interpolate_first():
        return addition.project(functional.interpolate(x, scale_factor=2, mode="bilinear"))

    report("addition: project, then interpolate; against the reverse", lambda: addition(x), interpolate_first)

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(500, 1024)), rng.normal(size=(500, 1024))

    def by_sqrtm():
        return scipy.linalg.sqrtm(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False))

    report(
        "Frechet distance, 500 x 1,024; against SciPy's sqrtm",
        lambda: metrics.frechet_distance(a, b),
        by_sqrtm,
    )

    with tempfile.TemporaryDirectory() as folder:
        os.environ["CTGAN_CACHE"] = str(Path(folder) / "cache")
        slices = Path(folder) / "slices"
        write_images(slices, images[:, 0].numpy(), [f"{k:04d}.png" for k in range(len(images))])

        def decode():
            (Path(folder) / "cache").mkdir(exist_ok=True)
            for cached in (Path(folder) / "cache").iterdir():
                cached.unlink()
            data.load_folder(slices, 32)

        report("500 files from the cache; against decoding", lambda: data.load_folder(slices, 32), decode)


if __name__ == "__main__":
    main()
