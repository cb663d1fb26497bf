"""`hemlets bench`: the table of speed, measured on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hemlets_lib.cli.options import PATH, app

__all__ = ["bench"]


@app.command(
    epilog="Example:  hemlets bench\n\nExample:  hemlets bench --quick --only encode --only metrics\n\n"
    "Four to five minutes on two cores. Close what else computes: ratios bear it, times do not."
)
def bench(
    json: Annotated[
        Path | None,
        typer.Option(
            help="Where the results go; beside it, each script's own.",
            show_default="benchmarks/results/bench.json of the checkout; with --quick or --only "
            "runs/bench/bench.json",
            **PATH,
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A few rounds: does it run?")] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="One script of benchmarks/; repeatable.", show_default="all")
    ] = None,
) -> None:
    """Time every optimised path against its plain form, and hold the ratios against their targets."""
    from hemlets_lib.bench import bench_result, benchmarks_folder, run_scripts, write_results
    from hemlets_lib.console import console, error_console, format_seconds, progress_line

    folder = benchmarks_folder()
    whole = not quick and not only
    path = json or (folder / "results" if whole else folder.parent / "runs" / "bench") / "bench.json"
    try:
        with progress_line("benchmarks") as ticker:

            def told(name: str, outcome: Any) -> None:
                ticker.detail = name
                if outcome is None:
                    console.print(f"{name} …")
                else:
                    how = "[red]failed[/red]" if outcome.problem else "done"
                    console.print(f"{name}: {how} in {format_seconds(outcome.seconds)}")

            outcomes = run_scripts(folder, only=only or (), quick=quick, told=told)
    except KeyboardInterrupt:
        error_console.print("Interrupted; nothing was written.")
        raise typer.Exit(130) from None
    result = bench_result(outcomes, folder, quick=quick)
    write_results(path, result, outcomes)
    _print_table(result)
    for each in outcomes:
        if each.problem:
            console.print(f"\n[red]{each.name}[/red]")
            console.print(each.problem, markup=False)
    console.print(f"\n{format_seconds(sum(each.seconds for each in outcomes))}; {path}", markup=False)
    if any(each.problem for each in outcomes):
        raise typer.Exit(1)


def _print_table(result: dict[str, Any]) -> None:
    """The headlines, what stops those that miss their targets, and what to hold times against."""
    from rich.table import Table

    from hemlets_lib.bench import limits_words, shown_figure
    from hemlets_lib.console import console

    table = Table("what", "against", "on", "measured", "target", "", box=None, pad_edge=False)
    for line in result["headlines"]:
        sign = "≥" if line["at_least"] else "≤"
        measured, target = (shown_figure(line[name], line["unit"]) for name in ("measured", "target"))
        met = "[green]met[/green]" if line["met"] else "[red]missed[/red]"
        table.add_row(line["what"], line["against"], line["device"], measured, f"{sign} {target}", met)
    console.print()
    console.print(table)
    for line in result["headlines"]:
        if not line["met"]:
            console.print(
                f"{line['what']}, {line['device']}: {line['bound'] or 'no bound given'}", markup=False
            )
    console.print()
    for limits in result["limits"]:
        console.print(f"limits, {limits_words(limits)}")
    paper = result["paper"]
    console.print(
        f"the paper, on another machine ({paper['device']}): {paper['full_ms']} ms in full, "
        f"{paper['baseline_ms']} ms the baseline"
    )
