"""Kill a short run, go on with --resume, and compare with a run that nothing disturbed.

    python tests/benchmarks/kills.py [--random 50]

The run is killed with SIGKILL at random moments, and besides before each of its renames. What counts: the
weights equal to the last bit, every line of the history valid JSON, no step twice. Prints the counts.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import tempfile
import time
from pathlib import Path

import torch

from ctgan_utils.command_line import run
from ctgan_utils.training import trainer

STEPS = 60
RUN = [
    "train",
    "small",
    "--profile",
    "smoke",
    "--precision",
    "fp32",
    "--set",
    "width=4",
    "--set",
    "batch_size=8",
]
RUN += ["--set", "image_size=32", "--steps", str(STEPS)]


def start(folder, *options, killed_before=None):
    """The process id of a run in a fork of this process; it is killed before its n-th rename if asked."""
    if process := os.fork():
        return process
    torch.set_num_threads(1)
    trainer.SAVE_EVERY = 0  # a checkpoint at each line of the history
    rename, done = os.replace, 0

    def replace(*paths):
        nonlocal done
        if done == killed_before:
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1
        rename(*paths)

    os.replace = replace
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        os.dup2(nothing.fileno(), 2)
        os._exit(run([*RUN, "--out", str(folder), *options]))


def waited(process):
    """The exit status of a process: negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def fault(folder, weights):
    """What is wrong with a run that went on after a kill; None if nothing is."""
    options = ["--resume"] if folder.exists() else []
    if waited(start(folder, *options)):
        return "refuses to go on"
    if (folder / "weights.safetensors").read_bytes() != weights:
        return "other weights"
    steps = [json.loads(line)["step"] for line in (folder / "history.jsonl").read_text().splitlines()]
    if steps != list(range(20, STEPS + 1, 20)):
        return f"steps {steps}"
    left = {path.name for path in folder.iterdir()}
    left -= {"config.json", "weights.safetensors", "state.pt", "history.jsonl", "samples", "lock"}
    return f"left behind: {left}" if left else None


def measure(n, seed=0):
    """{moment: what is wrong after the kill, or None}, of n random moments and of each rename."""
    rng, found = random.Random(seed), {}
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        waited(start(whole))  # draws the phantom, which the others take from the cache
        begun = time.perf_counter()
        waited(start(whole / "again"))
        seconds = time.perf_counter() - begun
        weights = (whole / "weights.safetensors").read_bytes()
        for k in range(n):
            folder = Path(place) / f"random-{k}"
            process = start(folder)
            time.sleep(rng.uniform(0, 1.1 * seconds))
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            found[f"random {k}"] = fault(folder, weights)
        rename = 0
        while True:
            folder = Path(place) / f"rename-{rename}"
            if waited(start(folder, killed_before=rename)) == 0:
                return found
            found[f"before rename {rename}"] = fault(folder, weights)
            rename += 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--random", type=int, default=50)
    results = measure(parser.parse_args().random)
    faults = {moment: what for moment, what in results.items() if what}
    renames = sum(moment.startswith("before") for moment in results)
    print(
        f"{len(results) - renames} kills at random moments, {renames} before a rename: {len(faults)} faults"
    )
    for moment, what in faults.items():
        print(f"  {moment}: {what}")
