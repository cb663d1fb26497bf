"""Predicted poses as JSON that explains itself: units, conventions, the skeleton, and whose weights.

{"conventions": …, "skeleton": …, "pictures": [{"file": …, "people": [{"joints_px": …}]}], "failed": …,
 "network": …, "made": …}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from hemlets_lib.checkpoint import CheckpointInfo
from hemlets_lib.data.shards.manifest import sha256
from hemlets_lib.model import ModelConfig
from hemlets_lib.people import FoundPeople
from hemlets_lib.results import provenance
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.triplets import UNKNOWN, part_states
from hemlets_lib.weights import RELEASE, describe_network

__all__ = [
    "CONVENTIONS",
    "DISTANCES",
    "channels_note",
    "has_seen_photographs",
    "network_record",
    "people_records",
    "poses_content",
    "why_no_triplets",
]

_VERSION = 1
_MAPS_NAMED = 10  # in a note

DISTANCES: Mapping[str, str] = {
    "known": "the distance from the camera was known",
    "bones": "the distance from the camera is the one at which an average adult's bones have their lengths, "
    "given the focal length",
    "weak perspective": "no camera is known: perspective is neglected, and the body is as large as an "
    "average adult's",
}

CONVENTIONS: Mapping[str, Any] = {
    "file": "path from the folder in which the command was called that wrote this poses.json; of the "
    "network, its file's name, which its sha256 tells from others",
    "frame": "of a video: the frame's number, from 0",
    "time_s": "of a video: seconds from its first frame to this one",
    "width": "of the whole picture, in pixels",
    "height": "of the whole picture, in pixels",
    "boxes_from": "'given': whoever called gave the boxes; 'detector': a person detector found them, and "
    "people are in order from left to right; 'whole picture': nobody said where people are, so all of it "
    "was taken for one person",
    "people": "nobody is followed from one frame or picture to the next: a place in the list is no identity",
    "failed": "files that could not be read, or not to their end, and why",
    "pixels": "of the whole picture, turned upright as its EXIF data say; a pixel's centre has integer "
    "coordinates, from 0 at the upper left",
    "joints_px": "(x, y) in pixels, x to the right and y down",
    "joints_root_rel_mm": "(x, y, z) in millimetres from the skeleton's root joint, along the camera's axes: "
    "+x right, +y down, +z away from the camera; null where no length is known",
    "box": "(x, y, width, height) in pixels: column and row of the upper left corner's pixel, and how many",
    "square": "(x, y, side) in pixels: middle and side of what the network was shown",
    "depth_source": dict(DISTANCES),
    "part_states": "for each of the skeleton's parts: positive if its child is nearer to the camera than its "
    "parent, negative if farther, 0 if about as far; null where unknown",
    "part_states_from": "'triplets': read off the network's heatmap triplets; 'joints': computed from "
    "joints_root_rel_mm",
    "channels_note": "of the network: which of its triplets and heatmaps may be another's, as their channels "
    "could not be told; part_states read off such triplets may be wrong; empty where there are none",
    "score": "how sure the detector is, 0 to 1; null where there was none",
}

# What `Mixture.config` calls sources whose pictures were drawn.
_DRAWN_KINDS = {"synthetic", "counterpart", "shipped", "mocap"}


def people_records(
    found: FoundPeople, config: ModelConfig, *, trust_triplets: bool = True
) -> list[dict[str, Any]]:
    """The people in a picture as JSON; `CONVENTIONS` says what the numbers mean.

    Args:
        found: From `predict_people`.
        config: The network's.
        trust_triplets: Read the parts' states off the triplets where there are any.
    """
    prediction = found.prediction
    if prediction is None:
        return []
    decoded = prediction.decoded if trust_triplets else None
    states = (
        part_states(prediction.joints_root_rel_mm, config.skeleton, variant=config.variant)
        if decoded is None
        else decoded.states
    )
    return [
        {
            "box": [box.x, box.y, box.width, box.height],
            "score": box.score,
            "square": list(square),
            "joints_px": _rounded(joints_px),
            "joints_root_rel_mm": _rounded(joints_mm),
            "depth_source": source,
            "part_states": [None if state == UNKNOWN else state for state in of_person.tolist()],
            "part_states_from": "joints" if decoded is None else "triplets",
        }
        for box, square, joints_px, joints_mm, source, of_person in zip(
            found.boxes,
            found.squares,
            prediction.joints_px,
            prediction.joints_root_rel_mm,
            prediction.depth_source,
            states,
            strict=True,
        )
    ]


def _rounded(joints: torch.Tensor) -> list[list[float | None]]:
    """To hundredths of a pixel or a millimetre; JSON has no NaN."""
    return [[round(x, 2) if abs(x) < float("inf") else None for x in row] for row in joints.tolist()]


def network_record(path: str | Path, info: CheckpointInfo) -> dict[str, Any]:
    """Which weights made a prediction, in words and as data.

    Args:
        path: The weights' file, which is hashed.
        info: What it says about itself.

    Returns:
        JSON: `file`, `sha256`, `description`, `has_seen_photographs`, `channels_note`, and all that the
            file says.
    """
    return {
        "file": Path(path).name,
        "sha256": sha256(Path(path)),
        "description": describe_network(info),
        "has_seen_photographs": has_seen_photographs(info),
        "channels_note": channels_note(info),
        "preset": info.preset,
        "config": info.config.to_dict(),
        "metadata": info.metadata,
        "provenance": info.provenance,
        "library_version": info.library_version,
    }


def has_seen_photographs(info: CheckpointInfo) -> bool | None:
    """Whether a network was trained on photographs, or on drawings alone; None where nobody says."""
    match info.metadata:
        case {"data": {"sources": [_, *_] as sources}}:
            said = [source.get("kind") if isinstance(source, Mapping) else None for source in sources]
            kinds = [kind if isinstance(kind, str) else None for kind in said]
            return None if None in kinds else not set(kinds) <= _DRAWN_KINDS
        case {"trained_on": str()}:
            return True  # only files of the authors' release say it so
    return None


def why_no_triplets(info: CheckpointInfo) -> str:
    """Why a network's triplets cannot be shown, in a sentence; empty where they can."""
    if info.metadata.get("channel_order") == RELEASE["channel_order"]:
        return (
            "The triplets are left out: which of the 60 maps of the authors' network is which is not "
            "published. The joints do not depend on it; the parts' states below come from them."
        )
    return ""


def channels_note(info: CheckpointInfo) -> str:
    """What is uncertain about a network's maps, where `channels.inspect_channels` put them in order.

    Args:
        info: Of a file that `hemlets convert --inspect` wrote, or of another one.

    Returns:
        Sentences; empty where all are certain, or nobody had to look.
    """
    if "channels" not in info.metadata:
        return ""
    match info.metadata["channels"]:
        case {"maps": [_, *_] as maps} if all(isinstance(each, Mapping) for each in maps):
            unsure = [str(each.get("map")) for each in maps if each.get("verdict") != "certain"]
        case _:
            return "The file does not say which of the network's triplets and heatmaps are certain."
    if not unsure:
        return ""
    more = f" and {len(unsure) - _MAPS_NAMED} more" if len(unsure) > _MAPS_NAMED else ""
    return (
        f"Which of the network's maps is which was worked out, and for {len(unsure)} of {len(maps)} it is "
        f"uncertain ({'; '.join(unsure[:_MAPS_NAMED])}{more}): their triplets, and the parts' states "
        "read off them, may be another's. The joints do not depend on it."
    )


def poses_content(
    pictures: Sequence[Mapping[str, Any]],
    *,
    network: Mapping[str, Any],
    skeleton: Skeleton,
    made: Mapping[str, Any] | None = None,
    failed: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """What a `poses.json` holds.

    Args:
        pictures: A mapping for each: its `file`, its `width` and `height`, and `people` (`people_records`).
        network: From `network_record`.
        skeleton: The network's.
        made: When and with what (`results.provenance`); now where left out.
        failed: The `file` and the `reason` of each that could not be read to its end.

    Returns:
        JSON that explains itself.
    """
    return {
        "format": "hemlets-poses",
        "version": _VERSION,
        "conventions": dict(CONVENTIONS),
        "skeleton": {
            "name": skeleton.name,
            "joints": list(skeleton.joint_names),
            "root": skeleton.joint_names[skeleton.root],
            "bones": [[skeleton.joint_names[joint] for joint in bone] for bone in skeleton.bones],
            "parts": [{"parent": parent, "child": child} for parent, child in skeleton.part_names],
        },
        "pictures": [dict(picture) for picture in pictures],
        "failed": [dict(each) for each in failed],
        "network": dict(network),
        "made": dict(made or provenance(Path(__file__).resolve().parent)),
    }
