"""The exercises' checks, mutation-tested: wrong answers meet their own hint, right ones of any style pass."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from answers import ACCEPTED, REJECTED
from answers.score import meant, own_hint, scores

from hemlets_lib.exercises import EXERCISES, Exercise, Mistake, check, compare, first_difference
from hemlets_lib.exercises import checking as checking_module
from hemlets_lib.exercises.checking import recognised
from hemlets_lib.exercises.registry import merged
from hemlets_lib.exercises.values import remark
from hemlets_lib.results import committed_result

FEWEST_MISTAKES = 5
FEWEST_STYLES = 2
LONGEST_HINT = 240
MISTAKES = [
    pytest.param(name, mistake, id=f"{name}-{place}")
    for name, exercise in EXERCISES.items()
    for place, mistake in enumerate(exercise.mistakes)
]
WRITTEN = [
    pytest.param(name, answer, words, id=f"{name}-{words}")
    for name, answers in REJECTED.items()
    for answer, words in answers
]
RIGHT = [
    pytest.param(name, answer, id=f"{name}-{place}")
    for name, answers in ACCEPTED.items()
    for place, answer in enumerate(answers)
]


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_passes(name, capsys):
    check(name, EXERCISES[name].reference)
    assert f"✓ {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", EXERCISES)
def test_an_empty_answer_does_not(name, capsys):
    def untouched(*inputs): ...

    check(name, untouched)
    assert f"○ {name}: not tried yet." in capsys.readouterr().out


@pytest.mark.parametrize(("name", "mistake"), MISTAKES)
def test_every_mistake_is_met_with_its_own_hint(name, mistake):
    assert own_hint(name, mistake.answer, mistake.hint), first_difference(name, mistake.answer)


@pytest.mark.parametrize(("name", "answer", "words"), WRITTEN)
def test_a_readers_wrong_answer_is_met_with_the_right_hint(name, answer, words):
    (hint,) = meant(name, words)
    assert own_hint(name, answer, hint), first_difference(name, answer)


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_a_right_answer_in_another_style_is_accepted(name, answer):
    assert first_difference(name, answer) is None


@pytest.mark.parametrize("name", EXERCISES)
def test_there_are_mistakes_and_answers_enough(name):
    hints = [mistake.hint for mistake in EXERCISES[name].mistakes]
    assert len(hints) >= FEWEST_MISTAKES and len(set(hints)) == len(hints)
    assert not [
        hint for hint in hints if len(hint) > LONGEST_HINT or "\n" in hint or hint.endswith((".", "!"))
    ]
    assert len(ACCEPTED[name]) >= FEWEST_STYLES and len(REJECTED[name]) >= FEWEST_MISTAKES


def test_answers_belong_to_exercises():
    assert not (ACCEPTED.keys() | REJECTED.keys()) - EXERCISES.keys()


def test_the_committed_score_is_the_measured_one():
    """If exercises or answers have changed: `python -m answers.score`, as its docstring says."""
    committed, measured = committed_result("exercises"), scores()
    assert {key: committed[key] for key in measured} == measured
    total = measured["all"]
    assert total["with_own_hint"] == total["rejected"] == total["wrong_answers"]
    assert total["accepted"] == total["right_answers"]


# What an answer is told


def test_a_wrong_answer_shows_the_case():
    def strange(z_parent, z_child, length):
        return -7

    told = "for z_parent=3000, z_child=2800, length=300 expected 1, got -7"
    assert first_difference("01.2", strange) == told


def test_a_known_mistake_is_named_before_the_case(capsys):
    check("01.2", lambda parent, child, length: -EXERCISES["01.2"].reference(parent, child, length))
    assert capsys.readouterr().out == (
        "✗ 01.2: your polarity is flipped: a nearer child should be +1, and nearer means a smaller z.\n"
        "  The first case: for parent=3000, child=2800, length=300 expected 1, got -1\n"
    )


@pytest.fixture
def sums(monkeypatch):
    """An exercise to add two numbers, with mistakes that are right in places."""
    mistakes = (
        Mistake("zero", lambda a, b: 0),
        Mistake("product", lambda a, b: a * b),
        Mistake("first", lambda a, b: a),
    )
    exercise = Exercise("Add.", lambda a, b: a + b, ((2, 2), (0, 3), (4, 1), (5, 0)), mistakes)
    monkeypatch.setattr(checking_module, "EXERCISES", {"s": exercise})


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda a, b: a * b, "product"),
        (
            lambda a, b: 0 if b == 3 else a + b,
            "product",
        ),  # so says "zero", but "product" agrees elsewhere, too
        (lambda a, b: a if b == 1 else a + b, "product"),  # "first" agrees as often and stands behind it
        (lambda a, b: a if b == 2 else a + b, "first"),
        (lambda a, b: a * b + 1, None),
        (lambda a, b: a + b, None),
    ],
)
def test_the_nearest_mistake_is_recognised(sums, answer, hint):
    found = recognised("s", answer)
    assert (found and found.hint) == hint


def test_a_large_answer_names_the_first_place_that_differs():
    def forgets_the_parts(joints_crop, states):
        answer = EXERCISES["01.4"].reference(joints_crop, states)
        return answer.roll(1, dims=1)

    complaint = first_difference("01.4", forgets_the_parts)
    assert "a tensor of shape (1, 14, 3, 16, 16); first differing at [0, 0, " in complaint


@pytest.fixture
def doubles(monkeypatch):
    """An exercise whose answer is a row of numbers."""
    exercise = Exercise("Double.", lambda row: 2 * row, ((torch.arange(1.0, 8),), (torch.arange(3.0),)))
    monkeypatch.setattr(checking_module, "EXERCISES", {"d": exercise})


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda row: 2 * row[None], "The numbers are right, but their shape is (1, 7): expected shape (7,)"),
        (lambda row: 2 * row[:-1], "Its shape is (6,): expected shape (7,)"),
        (lambda row: row * math.nan, "7 of 7 entries are NaN"),
    ],
)
def test_a_row_of_the_wrong_kind_is_told_so(doubles, answer, told):
    assert told in first_difference("d", answer)


def test_turned_axes_are_told():
    table = torch.arange(6.0).view(2, 3)
    told = ". The numbers are right, but the axes of (3, 2) are in another order: expected shape (2, 3)"
    assert remark(table.T, table) == told


def prints(z_parent, z_child, length):
    print(1)


def misses_a_path(z_parent, z_child, length):
    if z_parent > z_child:
        return EXERCISES["01.2"].reference(z_parent, z_child, length)


@pytest.mark.parametrize(
    ("name", "answer", "told"),
    [
        ("01.1", lambda ratio: math.nan, "NaN is what 0 · NaN"),
        ("01.1", lambda ratio: "30", "got '30'. A str like this cannot be read as numbers"),
        ("01.1", lambda ratio: [[1, 2], [3]], "A list like this cannot be read as numbers of one shape"),
        ("01.1", lambda ratio: [30.0], "their shape is (1,): expected a single number"),
        ("01.2", prints, "got None. Does every path through your function end in `return`?"),
        ("01.2", misses_a_path, "z_child=3200, length=300 expected -1, got None. Does every path"),
        ("01.1", 30.0, "expected your function itself, got 30. Write its name alone"),
        ("01.2", lambda depth: 1, "takes (depth), and the exercise gives it (z_parent, z_child, length)"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_told_so(name, answer, told):
    assert told in first_difference(name, answer)


def test_an_answer_that_raises_is_reported(capsys):
    def divides(z_parent, z_child, length):
        difference = z_parent - z_child
        return difference / 0

    check("01.2", divides)
    cases = len(EXERCISES["01.2"].cases)
    assert capsys.readouterr().out == (
        "✗ 01.2: your function raised ZeroDivisionError: float division by zero"
        ", in its line 3: `return difference / 0`\n"
        f"  It was called with z_parent=3000, z_child=2800, length=300; it raises in all {cases} cases.\n"
        "  A divisor is 0 for this input: what does the task ask for there?\n"
    )


def test_an_answer_that_raises_in_the_library_is_told_its_own_line(capsys):
    """No line of the library, and no more than the first of a long message."""

    def lets_the_library_raise(joints_crop, states):
        return EXERCISES["01.4"].reference(joints_crop[:, :5], states)

    check("01.4", lets_the_library_raise)
    first, called, *rest = capsys.readouterr().out.splitlines()
    assert "in its line 2: `return EXERCISES" in first and "hemlets_lib" not in first
    assert "joints_crop=a tensor of shape (" in called and len(rest) <= 1


def test_cases_that_go_through_are_counted(sums):
    told = first_difference("s", lambda a, b: a + b if b != 3 else [][b])
    assert "raised IndexError: list index out of range" in told
    assert "It was called with a=0, b=3; it raises in 1 of 4 cases." in told


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        (lambda row: rows * 2, "has the cell that imports or defines it not run yet?"),
        (lambda row: row if row > 1 else 2 * row, "use torch.where"),
        (lambda row: row.numpy() if not row.numpy() else row, "use torch.where"),
        (lambda row: row + torch.zeros(99), "print both `.shape`s"),
        (lambda row: row.numpy() + np.zeros(99), "print both `.shape`s"),
        (lambda row: 2 * print(end=""), "does every function that you call end in `return`?"),
        (lambda row: math.sqrt(-1), "floats can be just outside"),
        (lambda row: row.doubled(), "print its `type`"),
        (lambda row: torch.sin(2), "torch.as_tensor"),
        (lambda row: row[99], "the last of n is n - 1"),
    ],
)
def test_what_often_lies_behind_an_exception_is_said(doubles, answer, advice):
    assert advice in first_difference("d", answer).splitlines()[-1]


def test_an_exception_without_words_or_of_a_callable_object_is_told(doubles):
    class Doubler:
        def __call__(self, row):
            raise KeyboardError

    class KeyboardError(Exception):
        pass

    told = first_difference("d", Doubler())
    assert told.splitlines()[0] == "your function raised KeyboardError" and len(told.splitlines()) == 2


def test_a_long_message_is_cut(doubles):
    message = "long " * 200 + "\nand a stack of C++"

    def talks(row):
        raise RuntimeError(message)

    told = first_difference("d", talks)
    assert "long long …, in its line 2: `raise" in told and "C++" not in told
    assert len(told.splitlines()[0]) < 260


def test_values_count_and_types_do_not():
    answers = (
        lambda label, child_first: np.array(EXERCISES["01.3"].reference(label, child_first)),
        lambda label, child_first: torch.tensor(float(EXERCISES["01.3"].reference(label, child_first))),
    )
    assert [first_difference("01.3", answer) for answer in answers] == [None, None]


@pytest.mark.parametrize(
    "answer",
    [
        lambda row: (2 * row).tolist(),
        lambda row: list(2 * row),
        lambda row: tuple(np.float32(2) * x for x in row.numpy()),
        lambda row: (2 * row.numpy()[::-1])[::-1],
        lambda row: 2 * row.requires_grad_(),
        lambda row: (2 * row).bfloat16(),
    ],
)
def test_rows_of_any_type_are_read(doubles, answer):
    assert first_difference("d", answer) is None


def test_a_warning_does_not_make_an_answer_wrong(doubles):
    def warns(row):
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return 2 * row

    assert first_difference("d", warns) is None


def test_an_answer_cannot_spoil_the_next_case_and_hears_of_it(capsys):
    def destructive(joints_crop, states):
        answer = EXERCISES["01.4"].reference(joints_crop, states)
        joints_crop.zero_()
        return answer

    check("01.4", destructive)
    said = capsys.readouterr().out
    assert said.startswith("✓ 01.4")
    assert "Besides, your function changes what it is given (joints_crop): work on a copy." in said
    assert first_difference("01.4", EXERCISES["01.4"].reference) is None


def test_whole_numbers_have_to_be_exact():
    off_by_one = lambda joints, depth, height, width: 1 + 4 * joints * depth * height * width  # noqa: E731
    assert "expected 940032, got 940033" in first_difference("03.2", off_by_one)


def test_unknown_exercise():
    with pytest.raises(ValueError, match=r"there is no exercise '9\.9'; there are 00\.1, 00\.2"):
        check("9.9", abs)


def test_compare(capsys):
    compare(None, 12)
    compare(30, 30.04, unit="degrees")
    assert capsys.readouterr().out == (
        "you made no prediction; it is 12\nyou predicted 30 degrees; it is 30.04 degrees\n"
    )


def test_chapters_are_found_by_their_files_and_keep_to_their_names():
    folder = Path(checking_module.__file__).parent
    chapters = {path.stem.removeprefix("chapter") for path in folder.glob("chapter*.py")}
    assert {name.partition(".")[0] for name in EXERCISES} == chapters and list(EXERCISES) == sorted(EXERCISES)
    with pytest.raises(
        ValueError, match=r"chapter07 must name its exercises '07\.1', '07\.2', …, got '7\.1'"
    ):
        merged({"07": {"7.1": EXERCISES["01.1"]}})
