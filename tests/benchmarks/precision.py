"""Does training in bfloat16 end where training in float32 ends? The Small GAN of a lesson, three seeds each.

    python tests/benchmarks/precision.py

Half an hour on two cores. The seeds' spread is what a difference must exceed to mean anything.
"""

import statistics
import time

import torch

from ctgan_utils import data
from ctgan_utils.evaluation.evaluate import distances
from ctgan_utils.systems import get_experiment, get_profile
from ctgan_utils.training.runs import new_trainer


def end(ct, dtype, seed):
    """FD-ct of G_ema after the steps of a lesson, and the seconds they took."""
    e, profile = get_experiment("small", "lesson"), get_profile("lesson")
    trainer = new_trainer(e, ct, seed, device=torch.device("cpu"), dtype=dtype)
    begun = time.perf_counter()
    for _ in range(profile.steps):
        trainer.train_step()
    seconds = time.perf_counter() - begun
    return distances(ct, {"end": trainer.G_ema}, profile.evaluated)["end"], seconds


def main():
    ct = data.load("phantom", 64, phantoms=get_profile("lesson").phantoms)
    for dtype in (torch.bfloat16, torch.float32):
        found = []
        for seed in range(3):
            distance, seconds = end(ct, dtype, seed)
            found.append(distance)
            print(f"{dtype}, seed {seed}: FD-ct {distance:.2f}, {seconds:.0f} s", flush=True)
        print(f"{dtype}: mean {statistics.mean(found):.2f}, deviation {statistics.stdev(found):.2f}")


if __name__ == "__main__":
    main()
