"""The 15 actions of Human3.6M as procedural motion, and a jog.

`body` has the subjects, their joints' limits and kinematics; `signals` smooth random functions of time;
`puppet` poses a body frame by frame; `stances`, `seats` and `floor` say where it rests, `gestures` what the
hands do, `actions` and `seated_actions` put them together; `takes` is the way in.
"""

from hemlets_lib.data.motion.body import SUBJECTS, Subject
from hemlets_lib.data.motion.takes import ACTION_NAMES, Take, perform

__all__ = ["ACTION_NAMES", "SUBJECTS", "Subject", "Take", "perform"]
