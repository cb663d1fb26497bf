"""What the README shows works: its example runs, and the commands it names exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip() == "tensor(True)"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))))
def test_make_targets_exist(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_files_it_links_to_exist():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links and not [link for link in links if not (ROOT / link).exists()]


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
    render = measured("benchmarks/results/render.json")["images_per_second"]
    for claim in (
        f"{takes} takes, {everything['views']} views",
        f"{lifted:.1f} mm per joint; laid flat: {flat:.1f} mm",
        f"{len(lift['photos'])} real photographs",
        f"{agree} of {parts} part states",
        f"{encode[2]:.2f} (two threads) to {encode[1]:.2f} (one) times the time",
        f"{render['person, 128 px, 2 threads']:.0f} images/s",
        f"one core: {render['whole sample, 128 px, 1 threads']:.0f} |",
    ):
        assert claim in README, claim
