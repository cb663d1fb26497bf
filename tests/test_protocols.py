"""Protocols: the tables' layouts are the paper's, and samples land in the right column."""

import inspect

import pytest

from hemlets_lib import metrics
from hemlets_lib.data.motion import ACTION_NAMES
from hemlets_lib.data.sample import Meta
from hemlets_lib.protocols import PROTOCOLS, Column, get_protocol, is_drawn

TABLE_1 = (
    "Direct Discuss Eating Greet Phone Photo Pose Purch. Sitting SittingD. Smoke Wait WalkD. Walk WalkT."
)


def person(subject: str = "", action: str = "", **more) -> Meta:
    return Meta(dataset="somewhere", subject=subject, action=action, **more)


# --- golden ---------------------------------------------------------------------------------------


def test_headings_are_the_papers():
    headings = {name: [c.heading for c in protocol.columns] for name, protocol in PROTOCOLS.items()}
    assert headings["h36m"] == TABLE_1.split()
    walking, jogging = [f"Walking S{i}" for i in (1, 2, 3)], [f"Jogging S{i}" for i in (1, 2, 3)]
    assert headings["h36m_official"] == headings["h36m"]
    assert headings["humaneva"] == walking + jogging
    assert headings["mpi_inf_3dhp"] == ["Studio GS", "Studio no GS", "Outdoor"]
    assert headings["all"] == []


def test_protocol_two_is_told_both_ways():
    rows = {row.name: (row.metric, row.subjects, row.unit) for row in PROTOCOLS["h36m"].rows}
    assert rows == {
        "MPJPE, S9 + S11": ("mpjpe", (), "mm"),
        "MPJPE, S11": ("mpjpe", ("S11",), "mm"),
        "PA-MPJPE, S9 + S11": ("pa_mpjpe", (), "mm"),
        "PA-MPJPE, S11": ("pa_mpjpe", ("S11",), "mm"),
    }


def test_the_release_lays_the_truth_over_the_prediction():
    rows = PROTOCOLS["h36m_official"].rows
    assert [row.metric for row in rows] == ["mpjpe", "mpjpe", "reverse_pa_mpjpe", "reverse_pa_mpjpe"]
    assert PROTOCOLS["h36m_official"].joints == PROTOCOLS["h36m"].joints and {row.unit for row in rows} == {
        "mm"
    }


def test_joints_that_count():
    h36m, humaneva, mpi = (set(PROTOCOLS[name].joints) for name in ("h36m", "humaneva", "mpi_inf_3dhp"))
    assert len(h36m) == 17 and "pelvis" in h36m and "thorax" not in h36m
    assert h36m - humaneva == {"torso", "nose"}
    assert h36m - mpi == {"pelvis", "torso", "nose"}


@pytest.mark.parametrize(
    ("protocol", "subject", "action", "heading"),
    [
        ("h36m", "S9", "SittingDown", "SittingD."),
        ("h36m", "S11", "WalkingDog", "WalkD."),
        ("h36m", "S11", "TakingPhoto", "Photo"),
        ("h36m", "S1", "Walking", None),  # trains
        ("h36m", "S9", "Dancing", None),
        ("humaneva", "S2", "Jog", "Jogging S2"),
        ("humaneva", "S3", "Jogging", "Jogging S3"),
        ("humaneva", "S4", "Walking", None),
        ("mpi_inf_3dhp", "TS2", "Exercising", "Studio GS"),
        ("mpi_inf_3dhp", "TS3", "", "Studio no GS"),
        ("mpi_inf_3dhp", "TS6", "", "Outdoor"),
        ("mpi_inf_3dhp", "S6", "", None),
        ("all", "02", "02_01", "02_01"),
        ("all", "", "", "somewhere"),
    ],
)
def test_columns_by_hand(protocol, subject, action, heading):
    assert get_protocol(protocol).column_of(person(subject, action)) == heading


# --- law ------------------------------------------------------------------------------------------


def test_every_drawn_action_has_a_column_of_its_own():
    found = [PROTOCOLS["h36m"].column_of(person("S9", action)) for action in ACTION_NAMES]
    assert sorted(found) == sorted(TABLE_1.split())


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.name)
def test_rows_name_metrics_and_have_names_of_their_own(protocol):
    assert all(inspect.isfunction(getattr(metrics, row.metric)) for row in protocol.rows)
    assert len({row.name for row in protocol.rows}) == len(protocol.rows)
    assert {subject for row in protocol.rows for subject in row.subjects} <= set(protocol.subjects)


def test_a_column_without_conditions_holds_everybody():
    assert Column("All").holds(person("S1", "Walking"))


def test_drawn_samples_say_so():
    assert is_drawn(person(source="drawn; procedural motion; scene studio; seed 1"))
    assert not is_drawn(person(source="videos/Walking 1.54138969.mp4"))


# --- error ----------------------------------------------------------------------------------------


def test_an_unknown_protocol():
    with pytest.raises(
        ValueError, match=r"`protocol` must be one of 'h36m', 'h36m_official', .* got 'h3.6m'"
    ):
        get_protocol("h3.6m")
