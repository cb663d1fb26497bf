"""The doctor's findings on pretended machines."""

from __future__ import annotations

import shlex
from importlib import metadata

import pytest
import typer

from hemlets_lib import cli, doctor
from hemlets_lib.doctor import Finding, examine, find_browser, print_report


def test_it_looks_at_everything():
    subjects = {finding.subject for finding in examine()}
    expected = {"Python", "packages: library", "device", "notebook kernel", "embedded samples", "built data"}
    assert expected | {"trained network", "ImageNet weights", "browser for tests"} <= subjects


def test_only_what_is_needed_decides(capsys):
    good = [Finding("a", "1.0"), Finding("b", "none", "absent", "get b")]
    assert print_report(good)
    out = capsys.readouterr().out
    assert "Everything needed is there." in out and "mend: get b" in out
    assert not print_report([*good, Finding("c", "not installed", "missing", "pip install c")])
    out = capsys.readouterr().out
    assert "Missing: c." in out and "mend: pip install c" in out


@pytest.mark.parametrize(
    ("installed", "lowest", "state", "found"),
    [
        ("2.15.0+cu130", "2.8", "ok", "2.15.0+cu130"),
        ("2.0", "2.0.0", "ok", "2.0"),
        ("2.10", "2.9", "ok", "2.10"),
        ("2.7.1", "2.8", "missing", "2.7.1, needs 2.8 or newer"),
    ],
)
def test_versions_are_held_against_the_lower_bounds(monkeypatch, installed, lowest, state, found):
    monkeypatch.setattr(metadata, "version", lambda name: installed)
    finding = doctor._package("torch", lowest, None)
    assert (finding.state, finding.found) == (state, found)


def test_missing_packages_name_the_command(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    finding = doctor._package("papermill", "2.6", "notebooks")
    assert finding.found == "not installed (extra 'notebooks')" and finding.state == "missing"
    assert 'pip install -e ".[all]"' in finding.remedy
    assert doctor._package("mypy", None, "test").state == "absent"


def test_samples_are_found_and_verified(monkeypatch, tmp_path):
    from hemlets_lib.data import samples, shards

    def nowhere():
        raise FileNotFoundError("found none")

    monkeypatch.setattr(samples, "find_samples", nowhere)
    finding = doctor._samples()
    assert (finding.state, finding.found, finding.remedy) == ("missing", "found none", "hemlets data samples")

    monkeypatch.setattr(samples, "find_samples", lambda: tmp_path)
    check = shards.ShardCheck(root=tmp_path, num_rows=3, num_bytes=2**20, problems=())
    monkeypatch.setattr(shards, "verify_shards", lambda folder: check)
    assert doctor._samples() == Finding("embedded samples", f"{tmp_path}, intact: 3 samples, 1.0 MiB")
    bad = shards.ShardCheck(root=tmp_path, num_rows=3, num_bytes=9, problems=("shard 0: wrong hash",))
    monkeypatch.setattr(shards, "verify_shards", lambda folder: bad)
    assert doctor._samples().state == "missing" and "shard 0: wrong hash" in doctor._samples().found


def test_the_trained_network_is_found_and_read(monkeypatch, tmp_path):
    from hemlets_lib.checkpoint import save_checkpoint
    from hemlets_lib.data import samples
    from hemlets_lib.model import HEMletsNet

    monkeypatch.setattr(samples, "find_samples", lambda: tmp_path)
    finding = doctor._network()
    assert (finding.state, finding.remedy) == ("missing", "hemlets train --preset nano")
    assert f"expected a trained network at {tmp_path / 'nano.safetensors'}, found none" in finding.found

    path = tmp_path / "nano.safetensors"
    save_checkpoint(path, HEMletsNet.from_preset("nano"))
    words = "intact: nano, 96 px; not recorded; steps: not recorded"
    assert doctor._network() == Finding("trained network", f"{path}, {words}")
    path.write_bytes(path.read_bytes()[:1000])
    assert doctor._network().state == "missing" and str(path) in doctor._network().found


def test_remedies_that_are_our_own_are_valid_command_lines(monkeypatch, tmp_path):
    from hemlets_lib.data import samples

    def nowhere():
        raise FileNotFoundError("found none")

    def disarm(command):
        for inner in getattr(command, "commands", {}).values():
            inner.callback = lambda **options: None
            disarm(inner)
        return command

    monkeypatch.setattr(samples, "find_samples", nowhere)
    monkeypatch.setattr(doctor, "_root", lambda: tmp_path)
    monkeypatch.delenv("HEMLETS_DATA", raising=False)
    remedies = [finding.remedy for finding in examine() if finding.remedy.startswith("hemlets")]
    assert len(remedies) >= 3
    for remedy in remedies:
        program, *arguments = shlex.split(remedy)
        disarm(typer.main.get_command(cli.app)).main(arguments, program, standalone_mode=False)


def test_built_data_is_looked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_root", lambda: tmp_path)
    monkeypatch.delenv("HEMLETS_DATA", raising=False)
    assert doctor._data().state == "absent" and "HEMLETS_DATA is not set" in doctor._data().found
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "manifest.json").write_text("{}")
    monkeypatch.setenv("HEMLETS_DATA", str(tmp_path / "mine"))
    finding = doctor._data()
    assert finding.state == "ok" and str(tmp_path / "mine") in finding.found


def test_browser(monkeypatch):
    monkeypatch.setattr(
        doctor.shutil, "which", lambda name: f"/bin/{name}" if name == "google-chrome" else None
    )
    assert find_browser() == "/bin/google-chrome"
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert find_browser() is None and doctor._browser().state == "absent"
