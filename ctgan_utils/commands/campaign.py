"""The command that trains many systems on equal terms, and writes one table of them."""

import math
import time
from argparse import Namespace
from pathlib import Path

from ctgan_utils import outputs
from ctgan_utils.campaign.page import write_page
from ctgan_utils.campaign.plan import Entry, Plan, Run, checked, read_plan
from ctgan_utils.campaign.table import PAGE, PLAN, TABLE, Result, one_at_a_time, write_table
from ctgan_utils.commands.options import check_source
from ctgan_utils.commands.train import require_memory_of
from ctgan_utils.runtime import UserError, atomic_write, choose_device, choose_precision, say

IMAGES, SEEDS = 100_000, 3  # of a run, of an experiment, unless the options say otherwise
KEYWORDS = "phantom", "kaggle", "mednist"


def run_campaign(args: Namespace) -> None:
    from ctgan_utils.campaign.work import Site, progress_of, work  # scikit-learn takes seconds to import

    folder = args.out
    outputs.check_folder(folder, is_ours=lambda path: (path / PLAN).exists())
    plan, places = _plan_of(args), _places_of(args)
    for entry in plan.entries:
        if entry.data not in places:
            mend = f"say where it lies with --data {entry.data}=FOLDER"
            raise UserError(f"data {entry.data} of {entry.name}: {mend}")
    device = choose_device(args.device)
    site = Site(folder, places, args.profile, args.phantoms, args.n, critic=args.critic, device=device)
    for entry in plan.entries:
        if device.type != "cuda":
            system = entry.system(args.profile)
            dtype = choose_precision("auto", device)
            require_memory_of(system, system.micro_batch or system.batch_size, dtype)
    atomic_write(folder / PLAN, plan.as_csv())
    until = time.monotonic() + 60 * args.minutes if args.minutes else math.inf
    _write(folder, plan)
    try:
        for run, result in work(plan, site, args.shard, until):
            _write(folder, plan)
            say(_line(run, result), progress_of(plan, site))
    except KeyboardInterrupt:
        raise UserError(f"stopped, all saved in {folder}; the same command goes on") from None
    _write(folder, plan)
    say(progress_of(plan, site), f"table: {folder / TABLE}; page: {folder / PAGE}")


def _plan_of(args: Namespace) -> Plan:
    """What --plan, or the names, or the folder's own plan asks for."""
    if args.plan and args.names:
        raise UserError(f"{args.names[0]}: a plan is given with --plan; leave the names out, or the plan")
    if args.names:
        where = [text.partition("=")[0] if "=" in text else _name_of(text) for text in args.data]
        images, seeds = args.images or IMAGES, args.seeds or SEEDS
        entries = [
            Entry(name, "", place, images, seeds) for place in where or ["phantom"] for name in args.names
        ]
        return checked(entries, args.profile, "campaign")
    if args.images or args.seeds:
        raise UserError(
            "--images, --seeds: a plan says them for each line; leave them out, or name experiments"
        )
    path = args.plan or args.out / PLAN
    if not args.plan and not path.exists():
        raise UserError("nothing to do: name experiments, or a plan with --plan FILE")
    return read_plan(path, args.profile)


def _places_of(args: Namespace) -> dict[str, str]:
    """{name of data: where they lie}; phantom, kaggle and mednist lie where they always do."""
    places = {name: name for name in KEYWORDS}
    for text in args.data:
        name, is_named, place = text.partition("=")
        check_source("--data", place if is_named else text)
        places |= {name: place} if is_named else {_name_of(text): text}
    return places


def _name_of(place: str) -> str:
    return place if place in KEYWORDS else Path(place).resolve().name


def _write(folder: Path, plan: Plan) -> None:
    with one_at_a_time(folder):
        write_page(folder, plan, write_table(folder, plan))


def _line(run: Run, result: Result | None) -> str:
    name = f"{run.entry.name} on {run.entry.data}, seed {run.seed}"
    if result is None:
        return f"{name}: time is up, saved; the same command goes on"
    if result["report"] is None:
        return f"{name}: {result['outcome']}, kept in the table as such"
    r = result["report"]
    floor = r["distances"][r["metric"]].get("other patients")
    beside = "" if floor is None else f" (other patients {floor:.2f})"
    trained = f"{result['images']:,} images in {result['seconds']:,} s"
    return f"{name}: {trained}, {r['metric']} {r['value']:.2f}{beside}"
