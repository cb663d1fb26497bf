"""Exercises: every reference passes its own check, and wrong answers are met with the case that differs."""

import pytest

from hemlets_lib.exercises import EXERCISES, check, compare, first_difference


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_passes(name, capsys):
    check(name, EXERCISES[name].reference)
    assert f"✓ {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", EXERCISES)
def test_an_empty_answer_does_not(name, capsys):
    check(name, lambda *inputs: None)
    assert f"○ {name}: not tried yet." in capsys.readouterr().out


def test_a_wrong_answer_shows_the_case(capsys):
    check("01.2", lambda z_parent, z_child, length: -1)
    expected = "✗ 01.2: for z_parent=3000, z_child=2800, length=300 expected 1, got -1\n"
    assert capsys.readouterr().out == expected


def test_a_large_answer_names_the_first_place_that_differs():
    def forgets_the_parts(joints_crop, states):
        answer = EXERCISES["01.4"].reference(joints_crop, states)
        return answer.roll(1, dims=1)

    complaint = first_difference("01.4", forgets_the_parts)
    assert "a tensor of shape (1, 14, 3, 16, 16); first differing at [0, 0, " in complaint


def test_an_answer_that_raises_is_reported(capsys):
    check("01.2", lambda z_parent, z_child, length: 1 / 0)
    assert "your function raised ZeroDivisionError" in capsys.readouterr().out


def test_an_answer_cannot_spoil_the_next_case():
    def destructive(joints_crop, states):
        answer = EXERCISES["01.4"].reference(joints_crop, states)
        joints_crop.zero_()
        return answer

    assert first_difference("01.4", destructive) is None
    assert first_difference("01.4", EXERCISES["01.4"].reference) is None


def test_unknown_exercise():
    with pytest.raises(ValueError, match=r"there is no exercise '9\.9'; there are 01\.1, 01\.2"):
        check("9.9", abs)


def test_compare(capsys):
    compare(None, 12)
    compare(30, 30.04, unit="degrees")
    assert capsys.readouterr().out == (
        "you made no prediction; it is 12\nyou predicted 30 degrees; it is 30.04 degrees\n"
    )
