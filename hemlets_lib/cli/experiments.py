"""`hemlets experiments …`: run what the registry lists, show what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hemlets_lib.cli.options import PATH, TEXT

__all__ = ["experiments"]

experiments = typer.Typer(
    help="Run the registry's experiments and hold them against the paper.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="An experiment of the registry.", **TEXT)]
ProfileOption = Annotated[str, typer.Option(help="How much to compute: a profile of the registry.", **TEXT)]
AnsweringProfile = Annotated[
    str, typer.Option(help="Whose results answer: a profile, or one with '-real' for real data.", **TEXT)
]
Seeds = Annotated[int, typer.Option(min=1, help="How many seeds, from 0.")]
Shards = Annotated[Path, typer.Option(help="Folder of drawn data.", **PATH)]
Runs = Annotated[Path, typer.Option(help="Folder of the cells' runs.", **PATH)]
Results = Annotated[
    Path | None, typer.Option(help="Folder of the results.", show_default="experiments/results", **PATH)
]


@experiments.command("list", epilog="Example:  hemlets experiments list")
def list_experiments() -> None:
    """The registry: each experiment with its settings and conditions."""
    from rich.table import Table

    from hemlets_lib.console import console
    from hemlets_lib.experiments.registry import read_registry

    table = Table("experiment", "question", "settings", "conditions", box=None, pad_edge=False)
    for each in read_registry().experiments.values():
        table.add_row(each.name, each.title, "\n".join(each.settings), "\n".join(each.conditions))
    console.print(table)


@experiments.command(
    "run",
    epilog="Example:  hemlets experiments run table4 --profile laptop --seeds 3\n\n"
    "Example:  hemlets experiments run table4 --profile paper "
    "--real human36m-train=shards/h36m-train --real human36m-test=shards/h36m-test "
    "--real in_the_wild-train=shards/mpii-train\n\nRun again to resume.",
)
def run(
    name: Name,
    profile: ProfileOption = "laptop",
    seeds: Seeds = 1,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only settings or conditions of this name; repeatable.", show_default="all"),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Cells side by side.", show_default="one per core, one on a GPU")
    ] = None,
    real: Annotated[
        list[str] | None, typer.Option(help="ROLE=FOLDER of real shards instead of drawn ones; repeatable.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="'cpu' keeps off a GPU.", show_default="what there is", **TEXT)
    ] = None,
    shards: Shards = Path("shards"),
    runs: Runs = Path("runs/experiments"),
    results: Results = None,
) -> None:
    """Run the cells that are missing, each through papermill; an interrupted run carries on."""
    from hemlets_lib.console import console
    from hemlets_lib.experiments.sweep import jobs_here, pending, run_cells

    cells = _cells(name, profile, seeds, only or [])
    workplace = _workplace(cells, shards, runs, real or [], device)
    todo = pending(cells, workplace, folder=results)
    count = len({(workplace.kind(cell), cell.key) for cell in cells})  # settings may share cells
    console.print(f"{count} cells, {count - len(todo)} there already, {len(todo)} to run")
    failed = 0
    jobs = min(jobs or jobs_here(todo, workplace), max(len(todo), 1))
    for cell, problem in run_cells(cells, workplace, jobs=jobs, folder=results):
        failed += bool(problem)
        console.print(f"{cell.name}: {problem or 'done'}", markup=False)
    for kind in dict.fromkeys(map(workplace.kind, cells)):
        _print_table(name, kind, results)
    if failed:
        raise typer.Exit(1)


@experiments.command("status", epilog="Example:  hemlets experiments status --profile laptop")
def status(
    profile: AnsweringProfile = "laptop", results: Results = None, runs: Runs = Path("runs/experiments")
) -> None:
    """How many cells of each experiment are committed, or finished here."""
    from rich.table import Table

    from hemlets_lib.console import console
    from hemlets_lib.experiments.cells import finished_keys
    from hemlets_lib.experiments.design import MOST_SEEDS
    from hemlets_lib.experiments.evidence import REAL
    from hemlets_lib.experiments.registry import read_registry
    from hemlets_lib.experiments.sweep import read_gathered

    registry = read_registry()
    base = registry.profile(profile.removesuffix(REAL))
    committed, ended = read_gathered(profile, results).cells.keys(), finished_keys(runs, profile)
    table = Table("experiment", "cells a seed", "committed", "finished here", box=None, pad_edge=False)
    for each in registry.experiments.values():
        keys = {cell.key for cell in each.cells(base, MOST_SEEDS)}
        counts = (len(keys) // MOST_SEEDS, len(keys & committed), len(keys & ended))
        table.add_row(each.name, *map(str, counts))
    console.print(table)


@experiments.command("report", epilog="Example:  hemlets experiments report table4 --profile laptop")
def report(name: Name, profile: AnsweringProfile = "laptop", results: Results = None) -> None:
    """An experiment's table: means with intervals, and paired differences to its baseline."""
    _print_table(name, profile, results)


@experiments.command(
    "scorecard",
    epilog="Example:  hemlets experiments scorecard\n\n"
    "Example:  hemlets experiments scorecard --profile paper-real --out scorecard.html",
)
def scorecard(
    profile: AnsweringProfile = "laptop",
    out: Annotated[Path, typer.Option(help="The page.", **PATH)] = Path("runs/scorecard.html"),
    results: Results = None,
) -> None:
    """Write the page that holds the paper's numbers and claims against what was measured."""
    from hemlets_lib.console import console
    from hemlets_lib.experiments.scorecard import scorecard as scored
    from hemlets_lib.experiments.scorecard import summary
    from hemlets_lib.experiments.scorecard_page import counted, write_scorecard

    found, judged = _judged(profile, results)
    rows = scored(found.registry, found.gathered, profile=profile, forward=found.forward)
    write_scorecard(out, rows, judged, registry=found.registry, profile=profile)
    console.print(f"{len(judged)} claims: {counted(judged)}")
    numbers = ", ".join(f"{count} {status}" for status, count in summary(rows).items())
    console.print(f"{len(rows)} numbers: {numbers}")
    console.print(str(out), markup=False)


@experiments.command("claims", epilog="Example:  hemlets experiments claims --profile laptop")
def claims(profile: AnsweringProfile = "laptop", results: Results = None) -> None:
    """The paper's claims, each with its verdict, what it rests on and what would decide it."""
    from rich.markup import escape
    from rich.table import Table

    from hemlets_lib.console import console
    from hemlets_lib.experiments.evidence import run_commands
    from hemlets_lib.experiments.scorecard_page import counted
    from hemlets_lib.experiments.verdicts import by_chance

    found, judged = _judged(profile, results)
    table = Table("", "claim", "verdict", "decided in", "difference", "seeds", box=None, pad_edge=False)
    for number, each in enumerate(judged, 1):
        setting, contrasts, seeds = "", "", ""
        if each.case:
            setting, seeds = each.case.setting, str(each.case.seeds)
            contrasts = "\n".join(contrast.shown for contrast in each.case.contrasts)
        table.add_row(str(number), each.claim.name, each.verdict, escape(setting), contrasts, seeds)
    console.print(table)
    for number, each in enumerate(judged, 1):
        console.print(f"\n{number}. {each.claim.says} ({each.claim.section})", markup=False)
        for line in (
            f"{each.verdict}: {each.reason}",
            each.remark,
            *run_commands(found.registry, each.to_run),
        ):
            if line:
                console.print(f"   {line}", markup=False)
    console.print()
    console.print(f"{len(judged)} claims, profile {profile}: {counted(judged)}.")
    console.print(str(by_chance(judged)))


def _judged(profile: str, results: Path | None) -> tuple[Any, list[Any]]:
    from hemlets_lib.experiments.claims import judge_all
    from hemlets_lib.experiments.evidence import Evidence
    from hemlets_lib.experiments.registry import read_registry

    found = Evidence.read(read_registry(), profile, results)
    return found, judge_all(found)


@experiments.command(
    "check",
    epilog="Example:  hemlets experiments check\n\nIt takes about a minute and leaves the checkout as it is.",
)
def check_experiments(
    results: Results = None,
    write: Annotated[
        bool, typer.Option("--write", help="Take what comes out now as the numbers to reproduce.")
    ] = False,
    take: Annotated[
        bool, typer.Option("--seal", help="Take the digests of committed cells that have none; run nothing.")
    ] = False,
) -> None:
    """Run a cheap subset again; fail where a committed number no longer comes out within its tolerance."""
    from rich.table import Table

    from hemlets_lib.console import console
    from hemlets_lib.experiments.check import check, write_references
    from hemlets_lib.experiments.digests import digests_path, seal
    from hemlets_lib.experiments.sweep import results_folder

    folder = results or results_folder()
    if take:
        seal(folder)
        console.print(str(digests_path(folder)), markup=False, soft_wrap=True)
        return
    if write:
        for path in write_references(folder):
            console.print(f"wrote {path}", markup=False, soft_wrap=True)
        return
    report = check(folder)
    table = Table("number", "committed", "now", "difference", "tolerance", box=None, pad_edge=False)
    for each in report.shown():
        values = (each.committed, each.now, each.difference, each.tolerance)
        shown = ("none" if value is None else f"{value:.4g}" for value in values)
        table.add_row(f"{each.file.stem}  {each.name}", *shown)
    console.print(table)
    console.print(
        f"{len(report.numbers)} numbers held; of each cell, those closest to their tolerances are shown. "
        f"{len(report.problems)} problems."
    )
    for problem in report.problems:
        console.print(problem, markup=False, soft_wrap=True)
    if report.problems:
        raise typer.Exit(1)


def _cells(name: str, profile: str, seeds: int, only: list[str]) -> list[Any]:
    from hemlets_lib.experiments.design import MOST_SEEDS
    from hemlets_lib.experiments.registry import read_registry

    registry = read_registry()
    experiment = registry.experiment(name)
    if seeds > MOST_SEEDS:
        raise typer.BadParameter(f"expected at most {MOST_SEEDS}, got {seeds}.", param_hint="--seeds")
    known = {*experiment.settings, *experiment.conditions}
    if unknown := [each for each in only if each not in known]:
        raise typer.BadParameter(
            f"expected settings or conditions of {name} ({', '.join(sorted(known))}), "
            f"got {', '.join(unknown)}.",
            param_hint="--only",
        )
    settings = {each for each in only if each in experiment.settings} or set(experiment.settings)
    conditions = {each for each in only if each in experiment.conditions} or set(experiment.conditions)
    cells = experiment.cells(registry.profile(profile), seeds)
    return [cell for cell in cells if cell.setting in settings and cell.condition in conditions]


def _workplace(cells: list[Any], shards: Path, runs: Path, real: list[str], device: str | None) -> Any:
    from hemlets_lib.data.shards.manifest import MANIFEST_NAME
    from hemlets_lib.experiments.cells import Workplace

    roles = {role for cell in cells for role in cell.used_roles}
    folders = {}
    for entry in real:
        role, equals, folder = entry.partition("=")
        if not equals or not role or not folder:
            raise typer.BadParameter(f"expected ROLE=FOLDER, got {entry!r}.", param_hint="--real")
        if role not in roles:
            raise typer.BadParameter(
                f"expected a role that these cells use ({', '.join(sorted(roles))}), got {role!r}.",
                param_hint="--real",
            )
        if not (Path(folder) / MANIFEST_NAME).is_file():
            raise typer.BadParameter(
                f"expected a folder of shards for {role}, found no {MANIFEST_NAME} in {folder}. "
                "`hemlets data prepare` makes one.",
                param_hint="--real",
            )
        folders[role] = Path(folder)
    return Workplace(shards, runs, folders, device)


def _print_table(name: str, profile: str, results: Path | None) -> None:
    from rich.table import Table

    from hemlets_lib.console import console
    from hemlets_lib.experiments.evidence import REAL
    from hemlets_lib.experiments.registry import read_registry
    from hemlets_lib.experiments.statistics import signed
    from hemlets_lib.experiments.sweep import read_gathered, table
    from hemlets_lib.protocols import get_protocol

    registry = read_registry()
    experiment = registry.experiment(name)
    score = get_protocol(experiment.protocol).rows[0]
    gathered = read_gathered(profile, results)
    found = table(experiment, registry.profile(profile.removesuffix(REAL)), gathered, score=score.name)
    shown = Table(
        "setting", "condition", f"{score.name} ({score.unit})", f"against {experiment.baseline}", "seeds",
        box=None, pad_edge=False, title=f"{experiment.title} ({profile})",
    )  # fmt: skip
    for row in found:
        difference = "" if row.difference is None else signed(row.difference)
        shown.add_row(row.setting, row.condition, str(row.mean), difference, str(row.mean.n))
    console.print(shown if found else f"No results of {name} in profile {profile} yet.")
