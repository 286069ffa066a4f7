"""Commands on the notebooks: course, notebooks, slides, student."""

import sys
from argparse import Namespace
from pathlib import Path

from ctgan_utils import systems
from ctgan_utils.commands.options import check_source
from ctgan_utils.data import discovery, sources
from ctgan_utils.runtime import UserError, printable, say


def run_course(args: Namespace) -> int | None:
    from ctgan_utils.course import execute  # papermill and nbconvert take a second to import

    systems.get_profile(args.profile)
    check_source("--data", args.data)
    execute.check_out(args.out)
    source = sources.resolve(args.data)
    if args.data == "auto":
        say(f"--data auto: {source}")
    if source != "phantom":
        discovery.image_files(source)
        source = str(Path(source).resolve())
    for option, name in (("--data", source), ("--out", str(args.out))):
        if name.encode(errors="ignore").decode() != name:
            raise UserError(f"{option} {name}: notebooks take no name with broken letters; rename it")
    failed = execute.run_course(source, args.profile, args.seed, args.out)
    if failed:
        index = printable(args.out / "index.html")
        print(f"error: failed: {', '.join(failed)}; see {index}", file=sys.stderr)
        return 1
    return None


def run_notebooks(args: Namespace) -> None:
    from ctgan_utils.course import execute

    execute.rerun_in_place(args.names)


def run_student(args: Namespace) -> None:
    from ctgan_utils.course import nbgrader, student

    if args.nbgrader:
        written = nbgrader.write_course_folder(args.out)
        say(f"{len(written)} assignments in {args.out}; its nbgrader_config.py tells the commands")
        return
    written = student.write_student_copies(args.out)
    say(f"{len(written)} notebooks in {args.out}, their solutions emptied; the originals have them folded")


def run_slides(args: Namespace) -> None:
    from ctgan_utils.course import execute, slides

    written = slides.write_decks(args.out, execute.notebook_paths())
    say(f"the slides of {len(written)} notebooks; open {args.out / 'index.html'}")
