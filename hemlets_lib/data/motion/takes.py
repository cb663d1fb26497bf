"""Takes: who did what, as joints over time, with the furniture that it needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hemlets_lib.data.motion.actions import ACTIONS, MORE_ACTIONS
from hemlets_lib.data.motion.body import SUBJECTS, Subject
from hemlets_lib.data.motion.puppet import Puppet
from hemlets_lib.data.motion.signals import Signals
from hemlets_lib.data.render import Prop

__all__ = ["ACTION_NAMES", "Take", "perform"]

_PERFORMED = {**ACTIONS, **MORE_ACTIONS}

# The 15 actions of Human3.6M, in the order of its index.
ACTION_NAMES: tuple[str, ...] = tuple(ACTIONS)
FRAMES_PER_SECOND = 50.0  # Human3.6M's rate


@dataclass(frozen=True, eq=False)
class Take:
    """Some frames of one subject's motion.

    Args:
        joints_world_mm: Joints in HEMLETS18's order; z is up and the floor is z = 0.
        fps: Frames per second.
        action: What is done, by Human3.6M's name for procedural motion.
        subject: Who does it, by name.
        props: Furniture that stands still, world frame.
    """

    joints_world_mm: Float[np.ndarray, "F 18 3"]
    fps: float
    action: str
    subject: str
    props: tuple[Prop, ...] = ()


def perform(
    action: str,
    subject: Subject,
    *,
    num_frames: int,
    fps: float = FRAMES_PER_SECOND,
    seed: int | Sequence[int],
    start_s: float = 0.0,
) -> Take:
    """Moves a subject's body through one of the 15 actions, or a jog.

    A frame depends on its moment alone, not on how many were asked for: the frames from `start_s`
    on are the same as those of a longer take that reaches the same moments. One frame is cheap, and
    a take goes on for as long as it is asked to.

    Args:
        action: One of `ACTION_NAMES`, or `Jog` as in HumanEva-I.
        subject: Whose bones; see `SUBJECTS`.
        num_frames: How many frames, 1 or more.
        fps: Frames per second.
        seed: Chooses the style, the path and the gestures. Takes of different seeds are unrelated,
            as are those of one seed by different subjects.
        start_s: The first frame's moment in the take, seconds.

    Returns:
        The take. Bone lengths are the subject's in every frame.

    Raises:
        ValueError: If the action is unknown, `num_frames` is not a positive whole number, `fps` is
            not positive, or `start_s` is negative or not finite.
    """
    if action not in _PERFORMED:
        raise ValueError(
            f"`action` must be one of {', '.join(_PERFORMED)}, got {action!r}. "
            "The names are Human3.6M's, spelled without spaces, and HumanEva-I's."
        )
    if isinstance(num_frames, bool) or not isinstance(num_frames, (int, np.integer)) or num_frames < 1:
        raise ValueError(
            f"`num_frames` must be a whole number of 1 or more, got {num_frames!r}. "
            "Ask for one frame at least."
        )
    if not (np.isfinite(fps) and fps > 0):
        raise ValueError(
            f"`fps` must be a positive number of frames per second, got {fps!r}. Human3.6M has 50."
        )
    if not (np.isfinite(start_s) and start_s >= 0):
        raise ValueError(
            f"`start_s` must be a finite moment of 0 s or later, got {start_s!r}. Takes begin at 0."
        )
    who = list(SUBJECTS).index(subject.name) if subject.name in SUBJECTS else len(SUBJECTS)
    rng = np.random.default_rng([*np.atleast_1d(seed).tolist(), list(_PERFORMED).index(action), who])
    times_s = start_s + np.arange(num_frames) / fps
    puppet = Puppet(subject, num_frames)
    props = _PERFORMED[action](puppet, Signals(rng, times_s))
    return Take(puppet.joints_world_mm(), float(fps), action, subject.name, props)
