"""The notebooks' exercises, and checks that take the reader's own function.

Each chapter has its module, `chapter01` and so on, with a reference, cases and likely mistakes for every
exercise; `check` tries an answer on them and says what is wrong with it.
"""

from hemlets_lib.exercises.checking import check, compare, first_difference
from hemlets_lib.exercises.contract import Exercise, Mistake
from hemlets_lib.exercises.registry import EXERCISES

__all__ = ["EXERCISES", "Exercise", "Mistake", "check", "compare", "first_difference"]
