"""The command line: python -m ctgan_utils COMMAND --help."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ctgan_utils.runtime import DEVICES, IN_CHECKOUT, UserError, nearest

try:
    from ctgan_utils import commands, systems
    from ctgan_utils.evaluation import features
except UserError as error:  # of a system that $CTGAN_SYSTEMS names
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)

KEPT = "keep about that share of the slices, whole patients or groups, out of training"
SOURCES = "phantom, a folder (or one file) of images, kaggle, or auto for the first of these at hand"


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, with the nearest valid option."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message}; see {self.prog} --help")


def count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: it must be at least 1")
    return value


def seed(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text}: it must be at least 0")
    return value


def share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text}: it must be between 0 and 1")
    return value


def build_parser() -> Parser:
    parser = Parser(
        prog="python -m ctgan_utils", description="GANs for CT images: the course's command line."
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, action, about, to=verbs):
        sub = to.add_parser(name, help=about, description=about)
        sub.set_defaults(action=action, parser=sub)
        return sub

    p = command(
        "phantom", commands.run_phantom, "draw phantoms: image folders by class, index.csv, ground_truth.npz"
    )
    p.add_argument("--n", type=count, default=1000, help="slices")
    p.add_argument("--size", type=count, default=128, help="pixels")
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--out", type=Path, required=True)

    kinds = verbs.add_parser("data", help="look at or fetch real data").add_subparsers(
        required=True, metavar="check|kaggle"
    )
    p = command(
        "check",
        commands.run_data_check,
        "counts, sizes, orientations, duplicates, stacks and unreadable files of a folder",
        kinds,
    )
    p.add_argument("folder", type=Path)
    p.add_argument("--json", action="store_true")
    p = command("kaggle", commands.run_data_kaggle, "fetch CT KIDNEY through kagglehub", kinds)
    p.add_argument("--out", type=Path, required=True)

    p = command("train", commands.run_train, "train an experiment")
    p.add_argument("experiment", help="one of: " + ", ".join(systems.EXPERIMENTS))
    p.add_argument("--data", default="phantom", help=SOURCES)
    p.add_argument("--out", type=Path, help="run folder; build/runs/EXPERIMENT if left out")
    p.add_argument("--profile", default="lesson", help="one of: " + ", ".join(systems.PROFILES))
    total = p.add_mutually_exclusive_group()
    total.add_argument("--steps", type=count, help="generator steps in total")
    total.add_argument(
        "--epochs", type=count, help="passes in total; one is as many steps as there are batches"
    )
    p.add_argument("--hold-out", type=share, metavar="SHARE", help=KEPT)
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    p.add_argument("--device", choices=DEVICES, default="auto")
    p.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change the experiment")
    p.add_argument("--resume", action="store_true", help="go on from the last saved state")
    p.add_argument("--dry-run", action="store_true", help="time a few steps, write nothing")
    p.add_argument("--tensorboard", action="store_true", help="log for TensorBoard too, into RUN/tensorboard")
    p.add_argument("--skip-unreadable", action="store_true", help="leave out images that can't be read")

    p = command("sample", commands.run_sample, "draw samples of a run")
    p.add_argument("run", type=Path)
    p.add_argument("--n", type=count, default=64)
    p.add_argument("--out", type=Path, required=True, help="one .png sheet, or a folder for single images")
    p.add_argument("--truncation", type=float, help="cut the normal latents off at +-T (thesis A.6)")
    p.add_argument("--seed", type=seed, default=0)

    p = command("evaluate", commands.run_evaluate, "measure generated against real images")
    p.add_argument("--real", default="phantom", help=SOURCES)
    p.add_argument(
        "--fake", type=Path, required=True, nargs="+", help="run folders, or folders of images, to rank"
    )
    p.add_argument("--features", default="ct", help="one of: " + ", ".join(features.EXTRACTORS))
    p.add_argument("--n", type=count, help="images on each side; half of the real ones, at most 5,000")
    p.add_argument("--size", type=count, help="pixels, for folders of images; those of the first if left out")
    p.add_argument("--hold-out", type=share, metavar="SHARE", help=KEPT)
    p.add_argument("--html", type=Path, help="write a page with all measures and figures")
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--device", choices=DEVICES, default="auto")
    p.add_argument("--json", action="store_true")
    p.add_argument("--skip-unreadable", action="store_true", help="leave out images that can't be read")

    p = command("export", commands.run_export, "write the generator of a run as one small file, to share")
    p.add_argument("run", type=Path)
    p.add_argument("--out", type=Path, required=True, help="a .safetensors file")

    p = command("experiments", commands.run_experiments, "the systems of the thesis as a table")
    p.add_argument("--profile", default="thesis", help="one of: " + ", ".join(systems.PROFILES))

    p = command(
        "course", commands.run_course, "execute every notebook, with figures, numbers and an index page"
    )
    p.add_argument("--data", default="phantom", help=SOURCES)
    p.add_argument("--profile", default="lesson", help="one of: " + ", ".join(systems.PROFILES))
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--out", type=Path, default=Path("build", "course"))

    p = command("notebooks", commands.run_notebooks, "execute the notebooks in place, for committing")
    p.add_argument("names", nargs="*", help="such as 07_small_gan; all if left out")

    p = command("student", commands.run_student, "copy the notebooks with their solutions emptied")
    p.add_argument("--out", type=Path, default=Path("student"))

    p = command("features", commands.run_features, "train the ct feature extractor on phantoms")
    p.add_argument("--n", type=count, default=6000, help="phantoms")
    p.add_argument("--steps", type=count, default=1500)
    p.add_argument("--seed", type=seed, default=1000, help="of patients whom no notebook measures")
    p.add_argument(
        "--out", type=Path, default=features.CT_WEIGHTS if IN_CHECKOUT else Path("ct_features.safetensors")
    )
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    args, unknown = build_parser().parse_known_args(argv)
    if unknown:
        known = [option for action in args.parser._actions for option in action.option_strings]
        raise UserError(f"{unknown[0]}: no such option; {nearest(unknown[0], known)}")
    args.argv = argv[1:]
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. A user's mistake is one line on stderr and code 2."""
    try:
        args = parse(sys.argv[1:] if argv is None else argv)
        return args.action(args) or 0
    except UserError as error:
        message = str(error)
    except KeyboardInterrupt:
        message = "interrupted; what was written before is whole"
    except BrokenPipeError:  # the reader of a pipe, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        mend = "free some space or choose another place; what was written before is whole"
        message = f"{error.filename or 'output'}: {error.strerror or error}; {mend}"
    print(f"error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
