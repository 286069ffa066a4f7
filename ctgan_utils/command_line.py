"""The options of every command."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ctgan_utils.endings import ended
from ctgan_utils.option_types import (
    epochs,
    images,
    path,
    pixels,
    positive,
    seed,
    shard,
    share,
    source,
    span,
    steps,
    whole,
)
from ctgan_utils.runtime import DEVICES, UserError, brief, nearest, printable

try:
    from ctgan_utils import commands, systems
    from ctgan_utils.campaign.plan import MOST_SEEDS
    from ctgan_utils.evaluation import features
    from ctgan_utils.evaluation.ct_features import SIZES
except UserError as error:  # of a system that $CTGAN_SYSTEMS names
    print(f"error: {printable(error)}", file=sys.stderr)
    sys.exit(2)

LONGEST_MESSAGE = 400  # characters of what argparse says

KEPT = "keep about that share of the slices, whole patients or groups, out of training (default 0.2; 0: none)"
GUESS = "the share that was kept out of training, for generators whose files don't record it"
SOURCES = "phantom, a folder (or one file) of images, kaggle, mednist, or auto for the first of these at hand"


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, with the nearest valid option."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {brief(message, LONGEST_MESSAGE)}; see {self.prog} --help")


def build_parser() -> Parser:
    parser = Parser(
        prog="python -m ctgan_utils", description="GANs for CT images: the course's command line."
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, action, about, to=verbs):
        sub = to.add_parser(name, help=about, description=about)
        sub.set_defaults(action=action, parser=sub)
        return sub

    def reads_slices(p):
        p.add_argument(
            "--range",
            type=span,
            metavar="LOW:HIGH",
            help="the numbers that become black and white, such as -160:240 in HU; guessed, and said, "
            "if left out",
        )
        p.add_argument(
            "--max-gb",
            type=positive,
            default=1.0,
            metavar="GB",
            help="the most memory that opening one file may take (default 1)",
        )

    def skips_unreadable(p):
        p.add_argument("--skip-unreadable", action="store_true", help="leave out images that can't be read")

    p = command(
        "phantom", commands.run_phantom, "draw phantoms: image folders by class, index.csv, ground_truth.npz"
    )
    p.add_argument("--n", type=images, default=1000, help="slices")
    p.add_argument("--size", type=pixels, default=128, help="pixels")
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--out", type=path, required=True)

    kinds = verbs.add_parser("data", help="look at or fetch real data").add_subparsers(
        required=True, metavar="check|kaggle|mednist"
    )
    p = command(
        "check",
        commands.run_data_check,
        "counts, sizes, orientations, duplicates, stacks and unreadable files of a folder",
        kinds,
    )
    p.add_argument("folder", type=path)
    p.add_argument("--json", action="store_true")
    reads_slices(p)
    p = command("kaggle", commands.run_data_kaggle, "fetch CT KIDNEY through kagglehub", kinds)
    p.add_argument("--out", type=path, required=True)
    p = command(
        "mednist", commands.run_data_mednist, "fetch MedNIST's abdominal CT, without an account", kinds
    )
    p.add_argument("--out", type=path, required=True)

    p = command("train", commands.run_train, "train an experiment")
    p.add_argument("experiment", help="one of: " + ", ".join(systems.EXPERIMENTS))
    p.add_argument("--data", type=source, default="phantom", help=SOURCES)
    p.add_argument("--out", type=path, help="run folder; build/runs/EXPERIMENT if left out")
    p.add_argument("--profile", default="lesson", help="one of: " + ", ".join(systems.PROFILES))
    total = p.add_mutually_exclusive_group()
    total.add_argument("--steps", type=steps, help="generator steps in total")
    total.add_argument(
        "--epochs", type=epochs, help="passes in total; one is as many steps as there are batches"
    )
    p.add_argument("--hold-out", type=share, metavar="SHARE", help=KEPT)
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    p.add_argument("--device", choices=DEVICES, default="auto")
    p.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change the experiment")
    p.add_argument("--resume", action="store_true", help="go on from the last saved state")
    p.add_argument("--dry-run", action="store_true", help="time a few steps, write nothing")
    p.add_argument("--tensorboard", action="store_true", help="log for TensorBoard too, into RUN/tensorboard")
    reads_slices(p)
    skips_unreadable(p)

    p = command(
        "campaign",
        commands.run_campaign,
        "train many experiments on equal terms, and write one table of them",
    )
    p.add_argument("names", nargs="*", metavar="EXPERIMENT", help="what to train, if no --plan says it")
    p.add_argument("--plan", type=path, help="a CSV file: experiment, settings, data, images, seeds")
    p.add_argument(
        "--data",
        type=source,
        action="append",
        default=[],
        metavar="[NAME=]DATA",
        help="where the plan's data of that name lie: " + SOURCES,
    )
    p.add_argument("--images", type=images, help="real images that each run is shown (default 100,000)")
    p.add_argument("--seeds", type=whole(1, MOST_SEEDS), help="runs of each experiment (default 3)")
    p.add_argument("--out", type=path, required=True, help="folder of the campaign; the same again goes on")
    p.add_argument("--minutes", type=positive, help="stop after so many, all saved")
    p.add_argument("--shard", type=shard, default=(1, 1), metavar="I/N", help="do every N-th run only")
    p.add_argument("--profile", default="lesson", help="one of: " + ", ".join(systems.PROFILES))
    p.add_argument("--phantoms", type=images, default=17_500, help="slices, where the data are phantom")
    p.add_argument("--n", type=images, default=1_000, help="images in each set that is measured, at most")
    p.add_argument("--critic", action="store_true", help="train new critics too: minutes for each run")
    p.add_argument("--device", choices=DEVICES, default="auto")

    p = command("sample", commands.run_sample, "draw samples of a run")
    p.add_argument("run", type=path)
    p.add_argument("--n", type=images, default=64)
    p.add_argument("--out", type=path, required=True, help="one .png sheet, or a folder for single images")
    p.add_argument("--data", type=source, help="slices to translate, for a run that translates: " + SOURCES)
    p.add_argument(
        "--class", dest="wanted", metavar="CLASS", help="what to ask for of a run that is told a class"
    )
    p.add_argument(
        "--ask",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="what to ask for of a run that is told numbers, such as width=80",
    )
    p.add_argument("--truncation", type=positive, help="cut the normal latents off at +-T (thesis A.6)")
    p.add_argument("--seed", type=seed, default=0)

    p = command("evaluate", commands.run_evaluate, "measure generated against real images")
    p.add_argument("--real", type=source, default="phantom", help=SOURCES)
    p.add_argument(
        "--fake", type=path, required=True, nargs="+", help="run folders, or folders of images, to rank"
    )
    p.add_argument("--features", default="ct", help="one of: " + ", ".join(features.EXTRACTORS))
    p.add_argument("--n", type=images, help="images in each set; as many as the real ones allow, if left out")
    p.add_argument(
        "--size", type=pixels, help="pixels, for folders of images; those of the first if left out"
    )
    p.add_argument("--hold-out", type=share, metavar="SHARE", help=GUESS)
    p.add_argument("--critic", action="store_true", help="train new critics to tell the sets apart: minutes")
    p.add_argument("--html", type=path, help="write a page with all measures and figures")
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--device", choices=DEVICES, default="auto")
    p.add_argument("--json", action="store_true")
    reads_slices(p)
    skips_unreadable(p)

    p = command("quiz", commands.run_quiz, "a page on which people tell real slices from generated ones")
    p.add_argument("--real", type=source, help=SOURCES)
    p.add_argument(
        "--fake", type=path, help="a run folder, a file that 'export' wrote, or a folder of images"
    )
    p.add_argument("--n", type=whole(2, 1_000), default=40, help="slices, half of them real (default 40)")
    p.add_argument("--out", type=path, help="the page to write, a .html file")
    p.add_argument("--score", type=path, nargs="+", metavar="FILE", help="answers that readers saved")
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--json", action="store_true", help="the scores as JSON")
    reads_slices(p)
    skips_unreadable(p)

    p = command("export", commands.run_export, "write the generator of a run as one small file, to share")
    p.add_argument("run", type=path)
    p.add_argument("--out", type=path, required=True, help="a .safetensors file")
    p.add_argument(
        "--bits", type=int, choices=(32, 8), default=32, help="of a weight; 8: a quarter of the size"
    )

    p = command("experiments", commands.run_experiments, "the systems of the thesis as a table")
    p.add_argument("--profile", default="thesis", help="one of: " + ", ".join(systems.PROFILES))

    p = command(
        "course", commands.run_course, "execute every notebook, with figures, numbers and an index page"
    )
    p.add_argument("--data", type=source, default="phantom", help=SOURCES)
    p.add_argument("--profile", default="lesson", help="one of: " + ", ".join(systems.PROFILES))
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--out", type=path, default=Path("build", "course"))

    p = command("notebooks", commands.run_notebooks, "execute the notebooks in place, for committing")
    p.add_argument("names", nargs="*", help="such as 07_small_gan; all if left out")

    p = command("student", commands.run_student, "copy the notebooks with their solutions emptied")
    p.add_argument("--out", type=path, default=Path("student"))
    p.add_argument(
        "--nbgrader", action="store_true", help="with their solutions, as a course folder of nbgrader instead"
    )

    p = command("slides", commands.run_slides, "make slides of the notebooks, from the outputs they have")
    p.add_argument("--out", type=path, default=Path("build", "slides"))

    p = command("features", commands.run_features, "train the network behind FD-ct on phantoms of one size")
    p.add_argument("--size", type=int, choices=SIZES, default=SIZES[0], help="pixels a side")
    p.add_argument("--n", type=images, default=6000, help="phantoms")
    p.add_argument("--steps", type=steps, default=1500)
    p.add_argument("--seed", type=seed, default=1000, help="of patients whom no notebook measures")
    p.add_argument(
        "--out", type=path, help="a .safetensors file; in a checkout, the one that FD-ct reads if left out"
    )
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    args, unknown = build_parser().parse_known_args(_ranges_joined(argv))
    if unknown:
        known = [option for action in args.parser._actions for option in action.option_strings]
        raise UserError(f"{brief(unknown[0])}: no such option; {nearest(unknown[0], known)}")
    args.argv = argv[1:]
    return args


def _ranges_joined(argv: Sequence[str]) -> list[str]:
    """The words with "--range -160:240" as "--range=-160:240": argparse takes "-160:240" for an option."""
    words: list[str] = []
    for word in argv:
        if words and words[-1] == "--range" and re.match(r"-[\d.]", word):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def run(argv: Sequence[str] | None = None) -> int:
    """Run a command, that of the process if no words are given; returns the exit code."""

    def command() -> int | None:
        args = parse(sys.argv[1:] if argv is None else argv)
        return args.action(args)

    return ended(command, is_process=argv is None)
