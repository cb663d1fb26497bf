"""Triplet explorer: bend a part towards the camera; the child's peak changes its map (Eq. 1, Fig. 2)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hemlets_lib.data.sample import Sample, resize_sample
from hemlets_lib.explorers.common import (
    grey_pixels,
    image_panel,
    known_in_space,
    part_ticks,
    part_title,
    sample_names,
    state_lines,
    state_symbol,
)
from hemlets_lib.explorers.scene import (
    Choice,
    Explorer,
    Lines,
    Map,
    Mark,
    Panel,
    Picture,
    Points,
    Scene,
    Slider,
    State,
    Toggle,
)
from hemlets_lib.geometry import cam_to_crop, crop_to_px
from hemlets_lib.skeleton import HEMLETS18, Skeleton
from hemlets_lib.triplets import EPSILON_RATIO, VARIANTS, encode_triplets, get_variant, part_lengths, polarity
from hemlets_lib.viz import CHARCOAL, ORANGE, state_colour, state_label

__all__ = ["bend_part", "elevations_deg", "states_of", "triplet_explorer"]

_CELLS = 64  # a map's side, as the paper's
_PICTURE_PX = 256
_LEVELS = (-2, -1, 0, 1, 2)  # panels for maps; three-map variants leave the outer ones empty
# A part is bent by this much less than the slider says: the boundary itself belongs to state 0, as in
# Eq. (1), and without it rounding would decide there.
_SHY_DEG = 1e-6


def elevations_deg(
    joints_cam_mm: Float[Tensor, "*batch J 3"], skeleton: Skeleton
) -> Float[Tensor, "*batch K"]:
    """Each part's angle to the image plane, degrees, positive where the child is nearer."""
    nearer = joints_cam_mm[..., skeleton.part_parents, 2] - joints_cam_mm[..., skeleton.part_children, 2]
    return torch.rad2deg(torch.asin((nearer / part_lengths(joints_cam_mm, skeleton)).clamp(-1, 1)))


def bend_part(
    joints_cam_mm: Float[Tensor, "J 3"], part: int, angle_deg: float, skeleton: Skeleton
) -> Float[Tensor, "J 3"]:
    """A pose with one part turned about its parent to an angle to the image plane; what hangs on it follows.

    The part keeps its length and its direction in the picture.

    Args:
        joints_cam_mm: Camera space, millimetres.
        part: Which part.
        angle_deg: In -90 … 90, positive towards the camera.
        skeleton: Supplies parts and the tree.

    Returns:
        The bent pose in float64.
    """
    import roma

    joints = joints_cam_mm.double()
    parent, child = skeleton.parts[part]
    bone = joints[child] - joints[parent]
    along = (
        torch.nn.functional.normalize(bone[:2], dim=0) if bone[:2].norm() > 0 else bone.new_tensor([0.0, 1.0])
    )
    axis = torch.stack([-along[1], along[0], along.new_zeros(())])  # ẑ × along
    now = torch.atan2(-bone[2], bone[:2].norm())
    turn = roma.rotvec_to_rotmat(axis * (math.radians(angle_deg) - now))
    moved = _hanging_on(part, skeleton)
    bent = joints.clone()
    bent[moved] = joints[parent] + (joints[moved] - joints[parent]) @ turn.T
    for joint, sources in skeleton.derived.items():
        of = [skeleton.index(source) for source in sources]
        if skeleton.index(joint) not in (parent, child) and set(of) & set(moved):
            bent[skeleton.index(joint)] = bent[of].mean(0)
    return bent


@functools.cache
def _hanging_on(part: int, skeleton: Skeleton) -> list[int]:
    """The joints that move when a part turns about its parent."""
    parent, child = skeleton.parts[part]
    moved = {child}
    above = skeleton.parents[child]
    while above not in (parent, -1):
        moved.add(above)
        above = skeleton.parents[above]
    for joint in sorted(range(skeleton.num_joints), key=lambda j: skeleton.joint_depths[j]):
        if skeleton.parents[joint] in moved:
            moved.add(joint)
    return sorted(moved - {parent})


def states_of(
    joints_cam_mm: Float[Tensor, "J 3"], skeleton: Skeleton, *, variant: str, epsilon_ratio: float
) -> Int[Tensor, "K"]:
    """Every part's state where ε is not the paper's: it moves the variant's first bound.

    Args:
        joints_cam_mm: Camera space, millimetres.
        skeleton: Supplies the parts.
        variant: `hemlets`, `2s` or `5s`.
        epsilon_ratio: ε_k / ‖B_k‖.
    """
    bounds = (epsilon_ratio, *get_variant(variant).sine_bounds[1:])
    steps = [polarity(joints_cam_mm, skeleton, epsilon_ratio=bound) for bound in bounds]
    return torch.stack(steps).sum(0)


def triplet_explorer(
    samples: Sequence[Sample] | None = None, *, skeleton: Skeleton = HEMLETS18, part: int = 9
) -> Explorer:
    """A pose beside the maps of one of its parts; bend the part, move ε, change the variant.

    Args:
        samples: With joints in camera space and a camera; the shipped ones where left out.
        skeleton: Theirs.
        part: Which to begin with.

    Raises:
        ValueError: If no sample has all of its joints in space.

    Source: Eq. (1), Eq. (2), Fig. 2; the variants of §4.3.
    """
    named = sample_names(known_in_space(samples, skeleton))
    first = max(named, key=lambda name: int(named[name].part_states.ne(0).sum()))
    parts = tuple(part_title(skeleton, k) for k in range(skeleton.num_parts))
    angles = tuple(float(angle) for angle in range(-90, 91, 5))
    epsilons = tuple(round(0.05 * step, 2) for step in range(18))
    controls = (
        Choice("sample", "pose", tuple(named), first, offline=(first,)),
        Choice("part", "part", parts, parts[part], offline=tuple(parts[k] for k in (1, 2, 9, 10))),
        Toggle("bend", "bend the part", True),
        Slider(
            "angle",
            "to this angle",
            angles,
            20.0,
            unit="°",
            offline=tuple(a for a in angles if a % 10 == 0 or abs(a) in (25, 35)),
        ),
        Slider("epsilon", "ε / ‖B‖", epsilons, EPSILON_RATIO, offline=(0.0, 0.25, 0.5, 0.75)),
        Choice("variant", "variant", tuple(VARIANTS), "hemlets"),
    )

    @functools.cache
    def shown(name: str) -> Sample:
        return resize_sample(named[name], _PICTURE_PX)

    def draw(state: State) -> Scene:
        return _scene(shown(state["sample"]), parts.index(state["part"]), state, skeleton)

    return Explorer(
        "triplet", "Triplet explorer",
        "Move the angle past 30°, then past −30°: the child's peak changes its map. Then move ε.",
        controls, draw, row_heights=(350, 222, 176),
    )  # fmt: skip


def _scene(sample: Sample, part: int, state: State, skeleton: Skeleton) -> Scene:
    assert sample.joints_cam_mm is not None and sample.camera is not None  # as `known_in_space` chose
    joints_mm = sample.joints_cam_mm.double()
    epsilon, rule = state["epsilon"], get_variant(state["variant"])
    if state["bend"]:
        shy = math.copysign(max(abs(state["angle"]) - _SHY_DEG, 0), state["angle"])
        joints_mm = bend_part(joints_mm, part, shy, skeleton)
    states = states_of(joints_mm, skeleton, variant=rule.name, epsilon_ratio=epsilon)
    joints_crop = cam_to_crop(
        joints_mm.float(), sample.camera, sample.affine, size=sample.size, root=skeleton.root
    )
    maps = encode_triplets(
        joints_crop[None], states[None], skeleton=skeleton, size=_CELLS, variant=rule.name
    )[0, part]
    angle = float(elevations_deg(joints_mm, skeleton)[part])
    length = float(part_lengths(joints_mm, skeleton)[part])
    mine = int(states[part])
    bounds = (epsilon, *rule.sine_bounds[1:])
    ends_px = crop_to_px(joints_crop[list(skeleton.parts[part]), :2], sample.size).numpy()
    grey = grey_pixels(sample.image)
    rows = (
        (_pose_panel(grey, joints_crop, states, part, skeleton), _side_panel(angle, bounds, mine)),
        tuple(_map_panel(grey, maps, level, ends_px) for level in _LEVELS),
        (_all_parts(states, part, skeleton),),
    )
    child_map = rule.child_maps[mine + rule.max_state] - rule.max_state
    parent_map = rule.parent_maps[mine + rule.max_state] - rule.max_state
    depth = length * math.sin(math.radians(angle))
    bound = math.degrees(math.asin(epsilon))
    relation = "≤" if abs(mine) == 0 else ">"
    readout = (
        ("z_p − z_c", f"{_signed(depth)} mm = ‖B‖ sin θ, ‖B‖ = {length:.0f} mm"),
        (
            "ε",
            f"{epsilon:g} ‖B‖ = {epsilon * length:.0f} mm; state 0 ends at ±{bound:.1f}°",
        ),
        ("angle θ to the image plane", f"{_signed(angle, 1)}°"),
        (
            "Eq. (1)",
            f"|z_p − z_c| = {abs(depth):.0f} {relation} {epsilon * length:.0f} mm: r = {state_label(mine)}",
        ),
        ("child's peak", f"in map {state_label(child_map)}"),
        ("parent's peak", f"in map {state_label(parent_map)}"),
    )
    title = part_title(skeleton, part)
    alt = (
        f"A pose with its parts coloured by state, and the maps of {title}: at {_signed(angle, 1)}° to the "
        f"image plane and ε of {epsilon:g} its state is {state_label(mine)}; the child's peak is in map "
        f"{state_label(child_map)}, the parent's in map {state_label(parent_map)}."
    )
    return Scene(rows, readout, alt)


def _signed(value: float, digits: int = 0) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _pose_panel(
    grey: np.ndarray, joints_crop: Tensor, states: Tensor, part: int, skeleton: Skeleton
) -> Panel:
    joints_px = crop_to_px(joints_crop[:, :2], grey.shape[0]).numpy()
    ends = joints_px[list(skeleton.parts[part])]
    marks: tuple[Mark, ...] = (
        Picture(grey),
        Lines(ends, ORANGE, 13),
        *state_lines(joints_px, states, skeleton),
        Points(ends, CHARCOAL, ("circle", "square"), 10, ("parent", "child")),
    )
    return image_panel("all parts by their state", marks, grey.shape[0], weight=1)


def _side_panel(angle: float, bounds: Sequence[float], state: int) -> Panel:
    """The part from the side, its length being 1, the camera to the left: Eq. (1) is where its tip stands."""
    tip = np.array([-math.sin(math.radians(angle)), math.cos(math.radians(angle))])
    band = np.array([[-bounds[0], 0], [bounds[0], 0], [bounds[0], 1.1], [-bounds[0], 1.1], [-bounds[0], 0]])
    outer = bounds[-1] if len(bounds) > 1 else math.nan
    further = np.array([[-outer, 0], [-outer, 1.1], [math.nan, math.nan], [outer, 0], [outer, 1.1]])
    turn = np.radians(np.linspace(-90, 90, 61))
    marks = (
        Lines(band, CHARCOAL, 1, fill=True),
        Lines(further, CHARCOAL, 1, "dash"),
        Lines(np.stack([-np.sin(turn), np.cos(turn)], 1), "#bbbbbb", 1, "dot"),
        Lines(np.stack([np.zeros(2), tip]), state_colour(state), 6),
        Points(np.array([[0.0, 0.0]]), CHARCOAL, "circle", 11, ("  parent",)),
        Points(tip[None], state_colour(state), state_symbol(state), 15, (f"  child: {state_label(state)}",)),
        Points(
            np.array([[-1.05, -0.13], [0.0, -0.13], [1.05, -0.13]]), CHARCOAL,
            texts=("← camera", "band of state 0", "away →"), markers=False,
        ),
    )  # fmt: skip
    return Panel(
        "the part from the side: its tip against ±ε", marks, (-1.3, 1.6), (-0.25, 1.2),
        labels=("(z_c − z_p) / ‖B‖", "along the image / ‖B‖"), weight=1.75,
    )  # fmt: skip


def _map_panel(grey: np.ndarray, maps: Tensor, level: int, ends_px: np.ndarray) -> Panel:
    """One of the part's maps; empty where the variant has no such map."""
    middle, size = maps.shape[0] // 2, grey.shape[0]
    there = abs(level) <= middle
    values = maps[level + middle] if there else torch.zeros_like(maps[0])
    peak = float(values.max())
    said = f"highest: {peak:.2f}" if there else "not in this variant"
    ground = grey if there else np.full_like(grey, 240)
    marks = (
        Picture(ground),
        Map(values, state_colour(level), size),
        Points(ends_px if there else np.full((2, 2), np.nan), CHARCOAL, "cross", 6, ("P", "C")),
        Points(np.array([[size / 2, 0.94 * size]]), CHARCOAL, texts=(said,), markers=False),
    )
    return image_panel(f"map {state_label(level)}", marks, size)


def _all_parts(states: Tensor, part: int, skeleton: Skeleton) -> Panel:
    """All parts' states in a row; the chosen one in a frame."""
    numbers = states.tolist()
    places = np.array([[k, state] for k, state in enumerate(numbers)], dtype=float)
    frame = np.array([[part - 0.45, -2.4], [part + 0.45, -2.4], [part + 0.45, 2.4], [part - 0.45, 2.4]])
    marks = (
        Lines(np.concatenate([frame, frame[:1]]), ORANGE, 3),
        Lines(np.array([[-0.6, 0], [len(numbers) - 0.4, 0]]), "#bbbbbb", 1),
        Points(
            places, tuple(map(state_colour, numbers)), tuple(map(state_symbol, numbers)), 14,
            hover=tuple(f"{part_title(skeleton, k)}: {state_label(s)}" for k, s in enumerate(numbers)),
        ),
    )  # fmt: skip
    return Panel(
        "all parts: child nearer (+) ▲   about the same ●   farther (−) ▼", marks,
        (-0.6, len(numbers) - 0.4), (-2.6, 2.6), square=False, ticks=part_ticks(skeleton),
    )  # fmt: skip
