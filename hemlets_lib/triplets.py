"""Part-centric heatmap triplets: the paper's intermediate representation, and the way back.

A part is an ordered pair (parent p, child c). Its state says which end is nearer to the camera, its
triplet is a stack of heatmaps in which *which map* a peak is in tells the depth order:

                       map -1       map 0        map +1
    child farther        c            p             ·
    about the same       ·          p and c         ·
    child nearer         ·            p             c

Polarity +1 means the child is nearer (z_p - z_c > ε). Where Eq. (1) is open, |z_p - z_c| = ε, we say
0. Where two peaks share a map they overlap by maximum (Paper silent: `overlap` has other rules); parent
and child at one place in map 0 are then a single peak, and only the 2D heatmaps tell that both are there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hemlets_lib.geometry import Grid
from hemlets_lib.heatmaps import GaussianNorm, default_sigma, gaussian_profiles, peak_2d, peak_height
from hemlets_lib.skeleton import Skeleton

__all__ = [
    "EPSILON_RATIO",
    "UNKNOWN",
    "VARIANTS",
    "DecodedTriplets",
    "Overlap",
    "Variant",
    "check_states",
    "decode_triplets",
    "encode_triplets",
    "get_variant",
    "kept_numbers",
    "part_lengths",
    "part_mask",
    "part_states",
    "polarity",
]

EPSILON_RATIO = 0.5  # ε_k = 0.5 ‖B_k‖ ('Implementation details'): a part leaves state 0 at 30°
HALF_A_PEAK = 0.5  # of a Gaussian of height 1: above it a joint is more likely there than not
Overlap = Literal[
    "maximum", "sum", "clipped"
]  # of two peaks in a map; clipped: a sum, cut at a peak's height
UNKNOWN = -100  # the state of a part nobody labelled; PyTorch's own number for "ignore"


@dataclass(frozen=True)
class Variant:
    """A way to turn a part's state into maps (§3.1, and §4.3 'Variants of HEMlets').

    Args:
        name: `hemlets`, `2s` or `5s`.
        sine_bounds: |z_p - z_c| / ‖B‖ at which the state's size grows by one.
        parent_maps: For each state, from the most negative, the map that holds the parent.
        child_maps: The same for the child. Only the middle map ever holds both.
    """

    name: str
    sine_bounds: tuple[float, ...]
    parent_maps: tuple[int, ...]
    child_maps: tuple[int, ...]

    @property
    def num_maps(self) -> int:
        """S, the maps in a part's stack; also the number of states."""
        return len(self.child_maps)

    @property
    def max_state(self) -> int:
        return self.num_maps // 2


VARIANTS = MappingProxyType(
    {
        variant.name: variant
        for variant in (
            Variant("hemlets", (EPSILON_RATIO,), parent_maps=(1, 1, 1), child_maps=(0, 1, 2)),
            # The nearer joint in +, the farther in -: swapping parent and child gives the same maps.
            Variant("2s", (EPSILON_RATIO,), parent_maps=(2, 1, 0), child_maps=(0, 1, 2)),
            # Angles to the image plane of 30° and 60°.
            Variant("5s", (0.5, math.sqrt(3) / 2), parent_maps=(2,) * 5, child_maps=(0, 1, 2, 3, 4)),
        )
    }
)


def get_variant(name: str) -> Variant:
    """A variant by name.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in VARIANTS:
        raise ValueError(f"`variant` must be one of {', '.join(map(repr, VARIANTS))}, got {name!r}")
    return VARIANTS[name]


def _signed_steps(joints: Tensor, skeleton: Skeleton, bounds: tuple[float, ...]) -> Tensor:
    """How many of the bounds |Δz| exceeds, signed; UNKNOWN where a joint is not finite."""
    skeleton.check_joints(joints, "joints_cam_mm")
    parents, children = _ends(skeleton, joints.device)
    bone = joints[..., parents, :] - joints[..., children, :]  # p - c
    nearer, length = bone[..., 2], bone.norm(dim=-1)
    steps = torch.zeros_like(nearer, dtype=torch.long)
    for bound in bounds:
        steps += nearer.abs() > bound * length
    return torch.where(bone.isfinite().all(-1), steps * nearer.sign().nan_to_num().long(), UNKNOWN)


def _ends(skeleton: Skeleton, device: torch.device) -> tuple[Int[Tensor, "K"], Int[Tensor, "K"]]:
    """The numbers of the parts' parents, and of their children."""
    return kept_numbers(tuple(skeleton.part_parents), device), kept_numbers(
        tuple(skeleton.part_children), device
    )


def kept_numbers(numbers: tuple[int, ...], device: torch.device) -> Int[Tensor, "N"]:
    """Numbers as a tensor that stays on its device: to copy them there anew would wait for it."""
    return torch.tensor(numbers, device=device) if torch.compiler.is_compiling() else _on(numbers, device)


@cache
def _on(numbers: tuple[int, ...], device: torch.device) -> Int[Tensor, "N"]:
    with torch.inference_mode(False):  # else it could not be used in training afterwards
        return torch.tensor(numbers, device=device)


def polarity(
    joints_cam_mm: Float[Tensor, "*batch J 3"],
    skeleton: Skeleton,
    *,
    epsilon_ratio: float = EPSILON_RATIO,
) -> Int[Tensor, "*batch K"]:
    """Tri-state depth order of each part's two end joints, r(z_p, z_c).

    Depth grows away from the camera. A part whose depth difference is at most `epsilon_ratio` times
    its 3D length counts as parallel to the image. At the very boundary floating-point rounding decides.

    Args:
        joints_cam_mm: Joints in camera space, millimetres, (x, y, z).
        skeleton: Supplies the (parent, child) parts, in output order.
        epsilon_ratio: Half-width of the zero band, as a fraction of the part's length.

    Returns:
        +1 where the child is nearer to the camera than its parent, 0 parallel, -1 farther, and
        `UNKNOWN` where a joint is not finite.

    Raises:
        ValueError: If the joint count differs from the skeleton's.

    Source: Eq. (1); ε_k = 0.5 ‖B_k‖ from 'Implementation details'. Paper silent on |Δz| = ε: 0 here.
    """
    return _signed_steps(joints_cam_mm, skeleton, (epsilon_ratio,))


def part_states(
    joints_cam_mm: Float[Tensor, "*batch J 3"], skeleton: Skeleton, *, variant: str = "hemlets"
) -> Int[Tensor, "*batch K"]:
    """Each part's state in a variant: the polarity, or for `5s` -2 … +2 by the angle.

    Args:
        joints_cam_mm: Joints in camera space, millimetres.
        skeleton: Supplies the parts.
        variant: `hemlets`, `2s` or `5s`.

    Returns:
        States, positive where the child is nearer, and `UNKNOWN` where a joint is not finite.

    Raises:
        ValueError: If the joint count differs from the skeleton's, or the variant is unknown.

    Source: Eq. (1) and §4.3.
    """
    return _signed_steps(joints_cam_mm, skeleton, get_variant(variant).sine_bounds)


def part_lengths(joints_mm: Float[Tensor, "*batch J 3"], skeleton: Skeleton) -> Float[Tensor, "*batch K"]:
    """‖B_k‖, the 3D length of each part in millimetres; NaN where a joint is."""
    skeleton.check_joints(joints_mm, "joints_mm")
    parents, children = _ends(skeleton, joints_mm.device)
    return (joints_mm[..., parents, :] - joints_mm[..., children, :]).norm(dim=-1)


def part_mask(
    states: Int[Tensor, "*batch K"], joint_valid: Bool[Tensor, "*batch J"], skeleton: Skeleton
) -> Bool[Tensor, "*batch K"]:
    """The mask A of Eq. (3): parts whose state and both joints are known.

    Args:
        states: `UNKNOWN` where nobody labelled the part.
        joint_valid: Which joints are labelled.
        skeleton: Supplies the parts.

    Differs from the paper: A there is per element; here a part is in or out as a whole, since without
    its state no map of the three has a known target.
    """
    parents, children = _ends(skeleton, joint_valid.device)
    return joint_valid[..., parents] & joint_valid[..., children] & (states != UNKNOWN)


@torch.no_grad()
def encode_triplets(
    joints_crop: Float[Tensor, "B J C"],
    states: Int[Tensor, "B K"],
    *,
    skeleton: Skeleton,
    size: int | tuple[int, int],
    sigma: float | None = None,
    variant: str = "hemlets",
    grid: Grid | str = Grid.CELL_CENTRED,
    joint_valid: Bool[Tensor, "B J"] | None = None,
    norm: GaussianNorm = "height",
    overlap: Overlap = "maximum",
) -> Float[Tensor, "B K S H W"]:
    """The target maps of every part: Gaussians of parent and child, placed by the part's state.

    A part whose state is `UNKNOWN`, or one of whose joints is missing, is left empty; `part_mask`
    takes it out of the loss. A joint outside the crop contributes what of its Gaussian is inside.

    Args:
        joints_crop: (x, y) or (x, y, z) in crop space; z is not used.
        states: From `part_states`, or annotated.
        skeleton: Supplies the parts.
        size: Side of a map in cells, or (H, W).
        sigma: In cells; `default_sigma(size)` where left out.
        variant: `hemlets`, `2s` or `5s`.
        grid: How crop space lies over the cells.
        joint_valid: Which joints are labelled; all where left out.
        norm: What is 1, see `heatmaps.peak_height`.
        overlap: How parent and child share the middle map.

    Returns:
        S maps per part, from the most negative state to the most positive.

    Raises:
        ValueError: If shapes do not fit the skeleton, a state is not one of the variant's, or an option is
            unknown.

    Source: Eq. (2), Fig. 2.
    """
    skeleton.check_joints(joints_crop, "joints_crop")
    rule = get_variant(variant)
    check_states(states, joints_crop.shape[0], skeleton, rule)
    valid = joints_crop[..., :2].isfinite().all(-1)
    if joint_valid is not None:
        valid = valid & joint_valid
    drawn = part_mask(states, valid, skeleton)  # (B, K)
    sigma = default_sigma(size) if sigma is None else sigma
    along_x, along_y = gaussian_profiles(
        joints_crop, size=size, sigma=sigma, grid=grid, valid=valid, norm=norm
    )

    row = torch.where(drawn, states + rule.max_state, 0)
    maps = torch.arange(rule.num_maps, device=states.device)
    profiles, present = [], []
    for joints, places in zip(
        _ends(skeleton, states.device), (rule.parent_maps, rule.child_maps), strict=True
    ):
        place = kept_numbers(places, states.device)[row]  # (B, K): the map this end is in
        present.append(
            ((place[..., None] == maps) & drawn[..., None]).to(along_x.dtype)[..., None]
        )  # (B, K, S, 1)
        profiles.append((along_x[:, joints, None], along_y[:, joints, None]))  # (B, K, 1, W), (B, K, 1, H)
    (parent_x, parent_y), (child_x, child_y) = profiles
    in_parent, in_child = present

    # Only the middle map ever holds both joints. So one outer product fills every map with the joint
    # that is alone there (the parent, in the middle), and the child joins in the middle.
    middle = rule.max_state
    alone = in_child.clone()
    alone[:, :, middle] = 0
    only_x, only_y = parent_x * in_parent + child_x * alone, parent_y * in_parent + child_y * alone
    triplets = only_y[..., :, None] * only_x[..., None, :]  # (B, K, S, H, W)
    child_map = (child_y * in_child[:, :, middle, None])[:, :, 0, :, None] * child_x[:, :, 0, None, :]
    triplets[:, :, middle] = _joined(triplets[:, :, middle], child_map, overlap, peak_height(norm, sigma))
    return triplets


def _joined(one: Tensor, other: Tensor, overlap: Overlap, height: float) -> Tensor:
    """Two Gaussians whose peaks are of this height, in one map."""
    if overlap not in get_args(Overlap):
        raise ValueError(
            f"`overlap` must be one of {', '.join(map(repr, get_args(Overlap)))}, got {overlap!r}"
        )
    if overlap == "maximum":
        return torch.maximum(one, other)
    return one + other if overlap == "sum" else (one + other).clamp(max=height)


def check_states(states: Tensor, batch: int, skeleton: Skeleton, rule: Variant) -> None:
    """Refuses states of another shape, and on the CPU those that are not the variant's.

    Args:
        states: Of a batch of so many samples.
        batch, skeleton, rule: What they should fit.

    Raises:
        ValueError: If they do not.
    """
    if states.shape != (batch, skeleton.num_parts):
        raise ValueError(
            f"`states` must be (B, K) = ({batch}, {skeleton.num_parts}) for skeleton {skeleton.name!r}, "
            f"got {tuple(states.shape)}"
        )
    if states.device.type == "cpu" and not torch.compiler.is_compiling():  # elsewhere the look would stall
        wrong = states[(states.abs() > rule.max_state) & (states != UNKNOWN)]
        if wrong.numel():
            raise ValueError(
                f"`states` of variant {rule.name!r} must lie in {-rule.max_state}…{rule.max_state} or be "
                f"UNKNOWN ({UNKNOWN}), got {wrong[0].item()}. "
                f"Were they made with part_states(…, variant={rule.name!r})?"
            )


class DecodedTriplets(NamedTuple):
    """What triplets say: where the joints are and which ends are nearer."""

    joints_crop: Float[Tensor, "B J 2"]  # crop space; 0 where not found
    joint_found: Bool[Tensor, "B J"]
    states: Int[Tensor, "B K"]  # UNKNOWN where an end was not found


def decode_triplets(
    triplets: Float[Tensor, "B K S H W"],
    heatmaps: Float[Tensor, "B J H W"] | None = None,
    *,
    skeleton: Skeleton,
    sigma: float | None = None,
    variant: str = "hemlets",
    grid: Grid | str = Grid.CELL_CENTRED,
    min_peak: float = 0.1,
    norm: GaussianNorm = "height",
    overlap: Overlap = "maximum",
) -> DecodedTriplets:
    """2D joints and depth order back from maps, encoded or predicted.

    With the 2D heatmaps, joints are their peaks, and a part's state is the one whose maps, encoded
    anew, come nearest to those given at the places of its two joints. That also holds where the two
    overlap; only `2s`, which treats both ends alike, cannot tell + from - within a cell of each other.
    A part whose maps are empty or not finite stays `UNKNOWN`.

    Without them, a joint is found only through parts whose state is not 0: at state 0 parent and child
    share a map and nothing says which is which. Such joints come back as not found.

    Args:
        triplets: Maps as `encode_triplets` makes them.
        heatmaps: Maps as `render_heatmaps` makes them.
        skeleton, sigma, variant, grid, norm, overlap: As in encoding.
        min_peak: A map that stays below this part of a peak's height holds no joint. A joint just outside
            the crop still leaves the edge of its Gaussian inside, and is then found at the border: encode
            with the joints that lie in the crop where that matters.

    Raises:
        ValueError: If shapes do not fit the skeleton or the variant, or `2s` comes without heatmaps.
    """
    rule = get_variant(variant)
    if triplets.ndim != 5 or triplets.shape[1:3] != (skeleton.num_parts, rule.num_maps):
        raise ValueError(
            f"`triplets` must be (B, {skeleton.num_parts}, {rule.num_maps}, H, W) "
            f"for skeleton {skeleton.name!r} and variant {variant!r}, got {tuple(triplets.shape)}"
        )
    height, width = triplets.shape[-2:]
    sigma = default_sigma((height, width)) if sigma is None else sigma
    if norm != "height":
        triplets = triplets / peak_height(norm, sigma)
        heatmaps = None if heatmaps is None else heatmaps / peak_height(norm, sigma)
    if heatmaps is None:
        return _decode_alone(triplets, skeleton, rule, grid, min_peak)
    expected = (triplets.shape[0], skeleton.num_joints, *triplets.shape[3:])
    if heatmaps.shape != expected:
        raise ValueError(f"`heatmaps` must be (B, J, H, W) = {expected}, got {tuple(heatmaps.shape)}")
    triplets = triplets.to(torch.promote_types(triplets.dtype, torch.float32))
    joints, value = peak_2d(heatmaps, grid=grid)
    found = (value >= min_peak) & value.isfinite()
    cells = torch.stack([Grid(grid).to_cells(joints[..., i], n) for i, n in enumerate((width, height))], -1)

    def read(ends: list[int]) -> Tensor:
        """The S values of each part's maps at one of its ends, (B, K, S)."""
        column, row = cells[:, ends].round().long().unbind(-1)
        place = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1))[..., None, None]
        return triplets.flatten(-2).gather(-1, place.expand(*triplets.shape[:3], 1))[..., 0]

    apart = (cells[:, skeleton.part_parents] - cells[:, skeleton.part_children]).square().sum(-1)
    shared = torch.exp(-0.5 * apart / sigma**2)[..., None, None]  # one end's Gaussian at the other's place
    parent_in, child_in = (
        torch.nn.functional.one_hot(torch.tensor(places, device=triplets.device), rule.num_maps).to(
            triplets.dtype
        )
        for places in (rule.parent_maps, rule.child_maps)
    )  # (states, S)

    def misfit(ends: list[int], own: Tensor, other: Tensor) -> Tensor:
        drawn = _joined(own, shared * other, overlap, 1.0)  # (B, K, states, S)
        return (read(ends)[..., None, :] - drawn).square().sum(-1)

    at_parent = misfit(skeleton.part_parents, parent_in, child_in)
    at_child = misfit(skeleton.part_children, child_in, parent_in)
    states = (at_parent + at_child).argmin(-1) - rule.max_state
    known = (
        found[:, skeleton.part_parents] & found[:, skeleton.part_children] & _say_anything(triplets, min_peak)
    )
    return DecodedTriplets(
        torch.where(found[..., None], joints, 0), found, torch.where(known, states, UNKNOWN)
    )


def _say_anything(triplets: Tensor, min_peak: float) -> Tensor:
    """Parts whose maps are all finite and not all empty, (B, K): no evidence is not a state."""
    flat = triplets.flatten(2)
    return flat.isfinite().all(-1) & (flat.amax(-1) >= min_peak)


def _decode_alone(
    triplets: Tensor, skeleton: Skeleton, rule: Variant, grid: Grid | str, min_peak: float
) -> DecodedTriplets:
    if rule.name == "2s":
        raise ValueError("variant '2s' does not tell parent from child: pass the 2D `heatmaps` too")
    places, values = peak_2d(triplets, grid=grid)  # (B, K, S, 2), (B, K, S)
    middle = rule.max_state
    beside = values.clone()
    beside[:, :, middle] = 0  # only the child is ever beside the middle
    best, at = beside.max(-1)
    signed = best >= HALF_A_PEAK
    child = places.gather(2, at[..., None, None].expand(*at.shape, 1, 2))[:, :, 0]
    known = _say_anything(triplets, min_peak)
    states = torch.where(known, torch.where(signed, at - middle, 0), UNKNOWN)

    places = torch.where(places.isfinite(), places, 0)
    child = torch.where(child.isfinite(), child, 0)
    total = places.new_zeros(triplets.shape[0], skeleton.num_joints, 2)
    count = places.new_zeros(triplets.shape[0], skeleton.num_joints, 1)
    weight = (known & signed & (values[:, :, middle] >= min_peak)).to(places.dtype)[..., None]
    for joints, where in ((skeleton.part_parents, places[:, :, middle]), (skeleton.part_children, child)):
        index = torch.tensor(joints, dtype=torch.long, device=triplets.device)
        total = total.index_add(1, index, where * weight)
        count = count.index_add(1, index, weight)
    found = count[..., 0] > 0
    return DecodedTriplets(torch.where(found[..., None], total / count.clamp_min(1), 0), found, states)
