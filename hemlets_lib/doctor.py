"""What is installed, what will be used, and what is missing, with the command that mends it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from hemlets_lib.console import console
from hemlets_lib.results import device_summary

__all__ = ["BROWSERS", "Finding", "examine", "find_browser", "print_report"]

_INSTALL = f'"{sys.executable}" -m pip install -e ".[all]"'
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
"""Executables that the browser tests may use, best first."""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Args:
        subject: What was looked at.
        found: What was found.
        state: "ok", "missing" (needed), or "absent" (optional).
        remedy: The command that mends it; empty where nothing needs mending.
    """

    subject: str
    found: str
    state: str = "ok"
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at everything the suite needs.

    Returns:
        The findings, in reading order.
    """
    return [
        *_packages(),
        *_device(),
        _kernel(),
        _samples(),
        _network(),
        _data(),
        _backbone_weights(),
        _browser(),
    ]


def print_report(findings: Sequence[Finding]) -> bool:
    """Print findings, then what is missing with its remedy.

    Args:
        findings: From `examine`.

    Returns:
        Whether everything that is needed is there.
    """
    marks = {
        "ok": "[green]ok[/green]      ",
        "missing": "[red]missing[/red] ",
        "absent": "[yellow]optional[/yellow]",
    }
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        console.print(f"{marks[finding.state]} {finding.subject:<{width}}  ", end="")
        console.print(finding.found, markup=False)
        if finding.remedy:
            console.print(f"{'':<{width + 11}}mend: {finding.remedy}", markup=False)
    missing = [finding.subject for finding in findings if finding.state == "missing"]
    if missing:
        console.print(f"\n[red]Missing: {', '.join(missing)}.[/red]")
    else:
        console.print("\n[green]Everything needed is there.[/green]")
    return not missing


def _packages() -> list[Finding]:
    """Installed versions against the lower bounds of pyproject.toml, as the installation recorded them."""
    python = Finding("Python", ".".join(map(str, sys.version_info[:3])))
    try:
        requirements = metadata.requires("hemlets") or []
    except metadata.PackageNotFoundError:
        missing = Finding("hemlets", "not installed", "missing", _INSTALL)
        return [python, missing]
    findings: dict[str, list[Finding]] = {}
    for requirement in requirements:
        parsed = re.match(
            r"([\w.-]+)\s*(?:>=\s*([\d.]+))?\s*(?:;.*extra\s*==\s*['\"](\w+)['\"])?", requirement
        )
        if parsed is None or parsed[1] == "hemlets":
            continue
        name, lowest, extra = parsed.groups()
        if extra != "all":
            findings.setdefault(extra or "library", []).append(_package(name, lowest, extra))
    report = [python]
    for group, members in findings.items():
        listed = ", ".join(f"{each.subject} {each.found}" for each in members if each.state == "ok")
        report += [Finding(f"packages: {group}", listed or "none")]
        report += [each for each in members if each.state != "ok"]
    return report


def _package(name: str, lowest: str | None, extra: str | None) -> Finding:
    state = "absent" if extra == "test" else "missing"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, f"not installed{f' (extra {extra!r})' if extra else ''}", state, _INSTALL)
    if lowest and _numbers(version) < _numbers(lowest):
        return Finding(name, f"{version}, needs {lowest} or newer", "missing", _INSTALL)
    return Finding(name, version)


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in release[0].split(".")] if release else [0]
    while len(numbers) > 1 and numbers[-1] == 0:  # 2.0 is 2
        numbers.pop()
    return tuple(numbers)


def _device() -> list[Finding]:
    if importlib.util.find_spec("torch") is None:
        return []  # reported among the packages
    device = device_summary()
    memory = f", {device['memory_gib']} GiB RAM" if device["memory_gib"] else ""
    return [
        Finding("device", f"{device['device']} ({device['name']}), {device['cpu_cores']} CPU cores{memory}")
    ]


def _kernel() -> Finding:
    remedy = f'"{sys.executable}" -m ipykernel install --sys-prefix'
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ImportError:
        return Finding("notebook kernel", "Jupyter is not installed", "missing", _INSTALL)
    try:
        folder = KernelSpecManager().get_kernel_spec("python3").resource_dir
    except NoSuchKernel:
        return Finding("notebook kernel", "no kernel named python3", "missing", remedy)
    return Finding("notebook kernel", f"python3 in {folder}")


def _root() -> Path:
    from hemlets_lib.runs import project_root

    return project_root()


def _samples() -> Finding:
    subject, remedy = "embedded samples", "hemlets data samples"
    try:
        from hemlets_lib.data.samples import find_samples
        from hemlets_lib.data.shards import verify_shards
    except ImportError as error:  # a package is missing, which is reported above
        return Finding(subject, f"cannot be read ({error})", "missing", _INSTALL)
    try:
        folder = find_samples()
        check = verify_shards(folder)
    except (ValueError, OSError) as error:
        return Finding(subject, str(error), "missing", remedy)
    if not check.ok:
        return Finding(subject, f"{folder} is damaged: {'; '.join(check.problems)}", "missing", remedy)
    return Finding(subject, f"{folder}, intact: {check.num_rows} samples, {check.num_bytes / 2**20:.1f} MiB")


def _network() -> Finding:
    """The trained network that ships beside the samples, read whole."""
    subject, remedy = "trained network", "hemlets train --preset nano"
    try:
        from hemlets_lib.checkpoint import load_checkpoint
        from hemlets_lib.data.samples import find_weights
        from hemlets_lib.run_folder import describe_checkpoint
    except ImportError as error:  # a package is missing, which is reported above
        return Finding(subject, f"cannot be read ({error})", "missing", _INSTALL)
    try:
        path = find_weights("nano")
        words = describe_checkpoint(load_checkpoint(path).info)
    except (ValueError, OSError) as error:
        return Finding(subject, str(error), "missing", remedy)
    return Finding(
        subject, f"{path}, intact: {words['network']}; {words['trained on']}; steps: {words['steps']}"
    )


def _data() -> Finding:
    """Built shards; HEMLETS_DATA is searched for the embedded samples too."""
    named = os.environ.get("HEMLETS_DATA")
    folders = [Path(named).expanduser()] if named else []
    folders.append(_root() / "shards")
    looked = ", ".join(str(folder) for folder in folders)
    found = [str(folder) for folder in folders if folder.is_dir() and any(folder.iterdir())]
    if found:
        return Finding("built data", f"{', '.join(found)} (looked in {looked})")
    where = "looked in " + looked + ("" if named else "; HEMLETS_DATA is not set")
    return Finding("built data", f"none, {where}", "absent", "hemlets data build --n 30000")


def _backbone_weights() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("ImageNet weights", "torch is not installed", "absent")
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    cached = sorted(path.name for path in folder.glob("resnet*.pth"))
    if cached:
        return Finding("ImageNet weights", ", ".join(cached))
    load = "import torchvision; torchvision.models.resnet50(weights='IMAGENET1K_V1')"
    remedy = f'"{sys.executable}" -c "{load}"'
    return Finding("ImageNet weights", f"none in {folder}; backbones start at random", "absent", remedy)


def find_browser() -> str | None:
    """A Chromium or Chrome for the browser tests.

    Returns:
        Its path, or None.
    """
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def _browser() -> Finding:
    if path := find_browser():
        return Finding("browser for tests", path)
    remedy = {"darwin": "brew install chromium", "win32": "winget install Google.Chrome"}.get(
        sys.platform, "sudo apt-get install chromium"
    )
    return Finding("browser for tests", "no Chromium; browser tests are skipped", "absent", remedy)
