"""What the README shows works: its example runs, and the commands it names exist."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import typer

from hemlets_lib.cli import app
from hemlets_lib.experiments.registry import read_registry
from hemlets_lib.experiments.statistics import signed
from hemlets_lib.experiments.sweep import read_gathered, table

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == ["tensor(True)", "torch.Size([1, 18, 3])"]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))))
def test_make_targets_exist(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_files_it_links_to_exist():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links and not [link for link in links if not (ROOT / link).exists()]


def commands() -> list[str]:
    """The `hemlets` commands of its shell blocks, `torchrun` ones included, without comments."""
    blocks = "".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    return re.findall(r"^(?:hemlets|.* -m hemlets_lib\.cli) (\S[^#\n]*)", blocks, re.MULTILINE)


@pytest.mark.parametrize("command", commands())
def test_commands_are_understood(command):
    called = []

    def disarm(command):
        for inner in getattr(command, "commands", {}).values():
            disarm(inner)
        if not hasattr(command, "commands"):
            command.callback = lambda **options: called.append(options)
        return command

    disarm(typer.main.get_command(app)).main(shlex.split(command), "hemlets", standalone_mode=False)
    assert len(called) == 1


SCORE = "MPJPE, S9 + S11"


def rows_of_experiments() -> list[str]:
    """The lines of the table of experiments, made from the committed cells."""
    registry, gathered = read_registry(), read_gathered("laptop")
    shown = {
        "table4": ("H3.6M #1*", "few 3D repeated, depth order on the rest"),
        "rivals": ("few 3D repeated, depth order on the rest",),
        "figure6": ("H3.6M #1*",),
    }
    return [
        f"| {name}: {row.setting} | {row.condition} | {row.mean} | "
        f"{'baseline' if row.difference is None else signed(row.difference)} | {row.mean.n} |"
        for name, settings in shown.items()
        for row in table(registry.experiment(name), registry.profile("laptop"), gathered, score=SCORE)
        if row.setting in settings
    ]


def sentence_on_better_rivals() -> str:
    """Which rivals have an interval that lies below HEMlets' error."""
    registry, gathered = read_registry(), read_gathered("laptop")
    rows = table(registry.experiment("rivals"), registry.profile("laptop"), gathered, score=SCORE)
    better = [
        f"{row.condition}, by {-row.difference.mean:.1f} ± {row.difference.half_width:.1f} mm over "
        f"{row.difference.n} seeds"
        for row in rows
        if row.difference is not None
        and row.difference.half_width is not None
        and row.difference.mean + row.difference.half_width < 0
    ]
    return f"Better than HEMlets here: {'; '.join(better)}."


def row_of_explorers() -> str:
    """Of each explorer, its slowest slider in both forms, ms."""
    moves = measured("benchmarks/results/explorers.json")["moves"].values()
    slowest: dict[str, dict[str, float]] = {}
    for move in moves:
        forms = slowest.setdefault(move["explorer"], {})
        forms[move["form"]] = max(forms.get(move["form"], 0), move["median_ms"])
    times = ", ".join(
        f"{name} {forms['offline page']:.0f} and {forms['JupyterLab']:.0f}" for name, forms in slowest.items()
    )
    return (
        "| An explorer, from a key to its new figure: the slowest slider's median as an offline page and in "
        f"JupyterLab, ms; two cores, no GPU | {times} | [explorers.json](benchmarks/results/explorers.json) |"
    )


def headlines() -> list[dict]:
    """What every aim of speed came to."""
    return [
        {"file": name, **headline}
        for name in ("bench", "scale")
        for headline in measured(f"benchmarks/results/{name}.json")["headlines"]
    ]


def sentence_on_speed() -> str:
    met = sum(headline["met"] for headline in headlines())
    return (
        f"On two CPU cores without a GPU, {met} of {len(headlines())} aims are met "
        "([bench.json](benchmarks/results/bench.json), [scale.json](benchmarks/results/scale.json))."
    )


def rows_of_speed() -> list[str]:
    """The flagships, and all aims that are missed."""
    rows = []
    for each in headlines():
        if each["met"] and each.get("script") not in ("inference", "training_step", "metrics"):
            continue
        measured_as, aim = (f"{each[key]:.3g} {each['unit']}" for key in ("measured", "target"))
        outcome = "met" if each["met"] else f"missed: {each['bound']}"
        sign = "≥" if each["at_least"] else "≤"
        rows.append(f"| {each['what']} | {each['against']} | {measured_as} | {sign} {aim} | {outcome} |")
    return rows


def test_its_speed_is_that_of_the_benchmarks():
    lines = README.splitlines()
    start = lines.index("| | against | measured | aim | |") + 2
    assert lines[start : lines.index("", start)] == rows_of_speed()
    assert sentence_on_speed() in README
    assert row_of_explorers() in lines


def test_it_says_which_rival_does_better():
    assert sentence_on_better_rivals() in README


def test_its_table_of_experiments_is_that_of_the_cells():
    lines = README.splitlines()
    assert [line for line in lines if line.startswith(("| table4:", "| rivals:", "| figure6:"))] == (
        rows_of_experiments()
    )


def measured(name: str) -> dict:
    return json.loads((ROOT / name).read_text(encoding="utf-8"))


def test_its_numbers_are_those_of_the_committed_results():
    lift = measured("experiments/results/lift.json")
    everything = next(row for row in lift["takes"] if row["take"] == "all")
    lifted, flat = (everything["hemlets"][f"{name}_mm"] for name in ("lifted", "flat"))
    takes = len(lift["takes"]) - 1
    agree = sum(row["states_agree"] for row in lift["photos"])
    parts = sum(row["parts"] for row in lift["photos"])
    encode = {row["threads"]: row["ratio"] for row in measured("benchmarks/results/encode.json")["rows"]}
    trained = measured("experiments/results/nano.json")["evaluation"]
    rows, states = trained["rows"], trained["polarity_percent"]
    mm, aligned_mm = (rows[f"{name}, S9 + S11"]["mean_of_columns"] for name in ("MPJPE", "PA-MPJPE"))
    decoded, commonest = (
        states[name]["overall"] for name in ("decoded triplets", "always the commonest state")
    )
    real = measured("experiments/results/real_motion.json")
    other_motion, other_bodies = (
        real["sets"][name]["mpjpe_mm"] for name in ("recorded, their bodies", "recorded")
    )
    speed = {
        row["threads"]: row["images_per_s"]
        for row in measured("benchmarks/results/training.json")["rows"]
        if row["precision"] == "bfloat16" and row["freed_memory"] == "kept"
    }
    shares = [row["data_percent"] for row in measured("benchmarks/results/training.json")["rows"]]
    render = measured("benchmarks/results/render.json")["images_per_second"]
    prepared = measured("benchmarks/results/prepare.json")
    decoded_per_s = {round(row["mbit_per_s"]): row["video_frames_per_s_wall"] for row in prepared["prepare"]}
    loaded_per_s = [row["images_per_s"] for row in prepared["load"]]
    checks = measured("experiments/results/exercises.json")["all"]
    for claim in (
        f"{takes} takes, {everything['views']} views",
        f"{lifted:.1f} mm per joint; laid flat: {flat:.1f} mm",
        f"{len(lift['photos'])} real photographs",
        f"{agree} of {parts} part states",
        f"{encode[2]:.2f} (two threads) to {encode[1]:.2f} (one) times the time",
        f"`nano`, {trained['counts']['samples counted']} drawn pictures of two people",
        f"{mm:.1f} mm per joint (MPJPE; {aligned_mm:.1f} mm after Procrustes)",
        f"{decoded:.1f} % of the part states right; always the commonest state: {commonest:.1f} %",
        f"{speed[2]:.0f} images/s (one core: {speed[1]:.0f})",
        f"take {max(shares)} % of a step at most",
        f"the {len(real['takes'])} CMU takes",
        f"{other_motion:.1f} mm on the test subjects' bodies, {other_bodies:.1f} mm on the recorded ones",
        f"{render['person, 128 px, 2 threads']:.0f} images/s",
        f"{decoded_per_s[10]:.0f} (10 Mbit/s) to {decoded_per_s[5]:.0f} (5 Mbit/s) video frames/s",
        f"{min(loaded_per_s):.0f} to {max(loaded_per_s):.0f} images/s",
        f"one core: {render['whole sample, 128 px, 1 threads']:.0f} |",
        f"{checks['exercises']} exercises; {checks['rejected']} of {checks['wrong_answers']} wrong answers",
        f"{checks['accepted']} of {checks['right_answers']} right ones accepted",
    ):
        assert claim in README, claim


def test_its_table_of_data_sets_lists_every_reader_and_no_other():
    from hemlets_lib.data.readers import READERS

    table = README.partition("## Data sets")[2].partition("## Development")[0]
    rows = re.findall(r"^\|([^|]*)\| `([a-z_]+)`[^|]*\| `(\w+)` \| ([^|]+) \|$", table, re.MULTILINE)
    names = {
        "Human3.6M": "human36m", "HumanEva-I": "humaneva", "MPI-INF-3DHP": "mpi_inf_3dhp", "MPII": "mpii",
        "LSP": "lsp", "Ordinal": "ordinal", "FBI": "fbi",
    }  # fmt: skip
    listed, name = {}, ""
    for title, form, reader, tested in rows:
        name = names.get(title.strip(), name)
        listed[name, form] = reader
        assert tested
    assert listed == {
        (name, form): reader.__name__ for name, forms in READERS.items() for form, reader in forms.items()
    }
