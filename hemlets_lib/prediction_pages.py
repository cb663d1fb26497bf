"""Pages of predictions that open from disk: overlay, triplets, a 3D viewer for everybody, numbers.

Viewers are drawn by plotly's script, one file that all pages of a folder share, when they come into
sight: browsers give a page some sixteen 3D drawings at a time.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hemlets_lib.data.images import encode_png
from hemlets_lib.hard_poses import HardPose
from hemlets_lib.pages import html_page
from hemlets_lib.people import FoundPeople
from hemlets_lib.pose_records import DISTANCES
from hemlets_lib.skeleton import Skeleton
from hemlets_lib.viewer_scripts import SLIDER, STYLE, VIEWERS
from hemlets_lib.viz import SIDE_COLOURS, png_bytes, state_colour, state_label
from hemlets_lib.viz_3d import compare_pose_figure, motion_plot, pose_plot, side_view_png
from hemlets_lib.viz_prediction import TripletsSheet, figure_pixels, overlay_figure, triplets_sheet

__all__ = [
    "PLOTLY_NAME",
    "Shown",
    "VideoFrame",
    "gallery_page",
    "picture_page",
    "video_page",
    "weights_box",
]

PLOTLY_NAME = "plotly.min.js"
_SCRIPT = f"../{PLOTLY_NAME}"
_AXES = "right, down and away from the camera, in millimetres from the"


class Shown(NamedTuple):
    """What a page says about the network that made a prediction.

    Args:
        network: From `pose_records.network_record`.
        skeleton: The network's.
        triplets_note: Why triplets are not drawn, where they are not.
    """

    network: Mapping[str, Any]
    skeleton: Skeleton
    triplets_note: str = ""


class VideoFrame(NamedTuple):
    """A frame that was looked at: its number, its moment, its picture's address, its people's records."""

    number: int
    time_s: float
    address: str
    people: Sequence[Mapping[str, Any]]


def weights_box(network: Mapping[str, Any]) -> str:
    """HTML that says whose prediction a page shows, and how far to trust it.

    Args:
        network: From `pose_records.network_record`.
    """
    seen = network["has_seen_photographs"]
    doubt = {
        False: "It has only ever seen drawings of people, never a photograph: expect it to fail on many. "
        "Where it fails, that says nothing about networks that were trained on photographs.",
        None: "The file does not say whether it was trained on photographs.",
        True: "",
    }[seen]
    doubt = f"<p><strong>{html.escape(doubt)}</strong></p>" if doubt else ""
    if note := network.get("channels_note"):
        doubt += f"<p><strong>{html.escape(note)}</strong></p>"
    file, said = html.escape(str(network["file"])), html.escape(network["description"])
    return (
        f'<div class="weights{"" if seen else " doubtful"}"><p>Predicted by <code>{file}</code> '
        f"(SHA-256 <code>{network['sha256'][:12]}…</code>), {said}</p>{doubt}</div>"
    )


def picture_page(title: str, found: FoundPeople, shown: Shown) -> dict[str, str | bytes]:
    """A picture's page and the pictures on it.

    Args:
        title: The picture's file name.
        found: From `people.predict_people`.
        shown: About the network.

    Returns:
        File name → content; `index.html` is the page.
    """
    height, width = found.image.shape[:2]
    files: dict[str, str | bytes] = {
        "overlay.png": encode_png(figure_pixels(overlay_figure(found, shown.skeleton)))
    }
    sections, below = [], []
    for row in range(len(found.boxes)):
        assert found.prediction is not None  # there are people
        number = row + 1
        triplets = None if shown.triplets_note else triplets_sheet(found, row)
        if triplets is not None:
            files[f"triplets-{number}.png"] = encode_png(triplets.pixels)
        below.append(_triplets(number, triplets, shown))
        pose_mm = found.prediction.joints_root_rel_mm[row]
        viewer = None
        if pose_mm.isfinite().all():
            plot = pose_plot({"": pose_mm}, shown.skeleton).to_json()
            viewer = _viewer(number, plot, side_view_png({"": pose_mm}, shown.skeleton))
        sections.append(
            _person(
                number,
                viewer,
                DISTANCES[found.prediction.depth_source[row]],
                table=_joints_table(
                    shown.skeleton, found.prediction.joints_px[row].tolist(), pose_mm.tolist()
                ),
            )
        )
    people = _counted(len(found.boxes))
    body = (
        f"<header><h1>{html.escape(title)}</h1><p>{width} × {height} pixels · {people} · "
        f"{_origin_in_words(found.origin)}</p>{_OVERVIEW}</header>\n{weights_box(shown.network)}\n"
        + _beside(
            f'<figure><img class="picture" src="overlay.png" alt="The picture with {people} drawn on: left '
            f'limbs purple with squares, right limbs green with circles.">{_LEGEND if sections else ""}'
            "</figure>",
            sections,
        )
        + f"{''.join(below)}{_FOOTER}"
    )
    scripts = (_SCRIPT,) if sections else ()
    files["index.html"] = html_page(title, body + (VIEWERS if sections else ""), style=STYLE, scripts=scripts)
    return files


def video_page(title: str, frames: Sequence[VideoFrame], shown: Shown, *, note: str) -> str:
    """A video's page: its frames and everybody's pose under one slider.

    Args:
        title: The video's file name.
        frames: Those that were looked at, in order; one at least.
        shown: About the network.
        note: A sentence about which frames these are.
    """
    nobody = [[None] * 3] * shown.skeleton.num_joints
    sections = []
    for row in range(max(len(frame.people) for frame in frames)):
        there = [frame.people[row] if row < len(frame.people) else None for frame in frames]
        poses = {
            str(frame.number): _numbers(nobody if person is None else person["joints_root_rel_mm"])
            for frame, person in zip(frames, there, strict=True)
        }
        number = row + 1
        sources = {person["depth_source"]: None for person in there if person is not None}
        known = any(np.isfinite(pose).all() for pose in poses.values())
        viewer = None
        if known:
            first_mm = next(pose for pose in poses.values() if np.isfinite(pose).all())
            plot = motion_plot(poses, shown.skeleton).to_json()
            viewer = _viewer(number, plot, side_view_png({"": first_mm}, shown.skeleton))
        distances = "; ".join(DISTANCES[source] for source in sources)
        sections.append(_person(number, viewer, distances, table=""))
    first = frames[0]
    steps = [[str(frame.number), round(frame.time_s, 3), frame.address] for frame in frames]
    body = (
        f"<header><h1>{html.escape(title)}</h1><p>{html.escape(note)}</p>{_OVERVIEW}</header>\n"
        + _beside(
            '<figure><div class="slider"><button id="play" type="button">play</button>'
            f'<input id="at" type="range" min="0" max="{len(frames) - 1}" value="0" aria-label="frame">'
            f'<output id="now">frame {first.number}</output></div>'
            f'<img class="picture" id="frame" src="{html.escape(first.address)}" alt="A frame of the '
            f'video with the poses of its people drawn on.">{_LEGEND if sections else ""}</figure>',
            sections,
        )
        + f"{weights_box(shown.network)}\n<p>Triplets are left out of videos' pages: "
        "<code>hemlets predict</code> of a frame's picture draws them.</p>\n"
        f"{_FOOTER}"
        f'<script type="application/json" id="steps">{_embedded(json.dumps(steps))}</script>\n'
        f"{VIEWERS}{SLIDER}"
    )
    return html_page(title, body, style=STYLE, scripts=(_SCRIPT,))


def gallery_page(
    title: str, poses: Sequence[HardPose], network: Mapping[str, Any], skeleton: Skeleton, criterion: str
) -> dict[str, str | bytes]:
    """Labelled poses, predicted and true, on one page.

    Args:
        title: Of the page.
        poses: In the order of the page.
        network: From `pose_records.network_record`.
        skeleton: The network's.
        criterion: How the poses were chosen, as a phrase.

    Returns:
        File name → content; `index.html` is the page.
    """
    files: dict[str, str | bytes] = {}
    sections = []
    for number, pose in enumerate(poses, start=1):
        in_space = {} if pose.true_mm is None else {"true": pose.true_mm}
        in_space["predicted"] = pose.joints_mm
        shown = None if pose.true_mm is None else pose.true_mm.isfinite().all(-1)
        pictures = {"predicted": (pose.image, pose.joints_crop), "true": (pose.image, pose.true_crop)}
        files[f"pose-{number}.png"] = png_bytes(
            compare_pose_figure(pictures, in_space, skeleton, valid=shown)
        )
        plot = pose_plot(in_space, skeleton, valid=shown).to_json()
        still = side_view_png(in_space, skeleton, valid=shown)
        error = "no 3D labels" if pose.error_mm is None else f"MPJPE {pose.error_mm:.0f} mm"
        sections.append(
            f"<section><h2>{number} · {html.escape(pose.name)}</h2>"
            f"<p>{pose.unusual:.2f} body sizes from the median pose; predicted joints lie "
            f"{pose.off_percent:.1f} % of the crop's side from the labelled ones in the picture, on average; "
            f"{error}.</p>\n"
            f'<figure><img class="picture" src="pose-{number}.png" alt="The crop with the predicted joints, '
            'with the labelled ones, and the poses from the side."></figure>\n'
            f"<details><summary>In space</summary>{_viewer(number, plot, still)}</details></section>\n"
        )
    body = (
        f"<header><h1>{html.escape(title)}</h1><p>Chosen: {html.escape(criterion)}. A body "
        "size is the root mean square distance of a pose's labelled joints from their centre.</p></header>\n"
        f'{weights_box(network)}\n{"".join(sections)}<footer><p>The numbers: <a href="results.json">'
        f"results.json</a>.</p></footer>\n{VIEWERS}"
    )
    files["index.html"] = html_page(title, body, style=STYLE, scripts=(PLOTLY_NAME,))
    return files


def _numbers(joints: Sequence[Sequence[float | None]]) -> np.ndarray:
    """JSON's joints, NaN for null."""
    return np.array(joints, dtype=np.float64)


def _beside(figure: str, sections: Sequence[str]) -> str:
    """What is seen on the left, whoever is in it on the right."""
    return (
        f'<div class="pair">{figure}\n<div>{"".join(sections)}</div></div>\n' if sections else f"{figure}\n"
    )


def _person(number: int, viewer: str | None, distance: str, *, table: str) -> str:
    viewer = viewer or "<p>No bone's length is known, so there are no millimetres to draw.</p>"
    return (
        f'<section id="person-{number}"><h2>Person {number}</h2>\n{viewer}\n'
        f"<p>Drag to turn, scroll to come closer. About the scale: {html.escape(distance)}.</p>\n"
        f"{table}</section>\n"
    )


def _viewer(number: int, plot: str, still: bytes) -> str:
    """A place for a 3D drawing; until there is one, and without WebGL, a picture of it from the side."""
    address = f"data:image/png;base64,{base64.b64encode(still).decode()}"
    return (
        f'<div class="viewer" data-figure="figure-{number}" role="img" aria-label="Pose {number} in space, '
        f'to turn with the mouse."><img class="placeholder" src="{address}" alt="Pose {number} from the '
        'side."></div>'
        f'<script type="application/json" id="figure-{number}">{_embedded(plot)}</script>'
    )


def _embedded(data: str) -> str:
    """JSON that cannot end the script element around it."""
    return data.replace("</", "<\\/").replace("<!--", "<\\u0021--")


def _triplets(number: int, sheet: TripletsSheet | None, shown: Shown) -> str:
    if sheet is None:
        why = (
            shown.triplets_note
            or "This network has no intermediate branch, so there are no triplets to show."
        )
        return f"<p>{html.escape(why)}</p>\n"
    lines = -(-len(sheet.states) // sheet.columns)
    panels = []
    for part, (parent, child) in enumerate(shown.skeleton.part_names):
        across, down = part % sheet.columns, part // sheet.columns
        place = f"{_percent(across, sheet.columns)} {_percent(down, lines)}"
        name = html.escape(f"{parent} → {child}".replace("_", " "))
        state, height = state_label(sheet.states[part]), f"highest {sheet.peaks[part]:.2f}"
        panels.append(
            f'<div><p>{name}<br><b class="state" style="background:{state_colour(sheet.states[part])}">'
            f'{state}</b> {height}</p><div class="panel" role="img" aria-label="{name}: {state}, {height}" '
            f'style="background:url(triplets-{number}.png) {place} / {100 * sheet.columns}% {100 * lines}%">'
            "</div></div>\n"
        )
    return (
        f'<section id="triplets-{number}"><h2>Triplets of person {number}</h2>\n<figure>'
        f'<div class="panels">{"".join(panels)}</div><figcaption>The heatmap triplets, a panel for each '
        "part, and the state read off them: vermillion, the child is nearer to the camera than its parent "
        "(+1); blue, it is farther (−1); grey, about as far (0); ?, no joint found, so no state. A panel's "
        "strongest place has the full colour; how high the map is there is said above it, at most 1."
        "</figcaption></figure>"
        "</section>\n"
    )


def _percent(at: int, of: int) -> str:
    """Where CSS must put a background of so many panels to show one of them."""
    return f"{100 * at / max(of - 1, 1):.3f}%"


def _joints_table(
    skeleton: Skeleton, joints_px: Sequence[Sequence[float]], joints_mm: Sequence[Sequence[float]]
) -> str:
    def cell(value: float, digits: int) -> str:
        return f"<td>{value:.{digits}f}</td>" if value == value else "<td>–</td>"

    rows = "".join(
        f"<tr><th>{html.escape(name.replace('_', ' '))}</th>{''.join(cell(x, 1) for x in px)}"
        f"{''.join(cell(x, 0) for x in mm)}</tr>\n"
        for name, px, mm in zip(skeleton.joint_names, joints_px, joints_mm, strict=True)
    )
    root = html.escape(skeleton.joint_names[skeleton.root].replace("_", " "))
    return (
        f"<details><summary>The joints' numbers</summary><table><caption>x and y in pixels of the picture; "
        f"{_AXES} {root}.</caption>\n<tr><th>joint</th><th>x (px)</th><th>y (px)</th><th>right (mm)</th>"
        f"<th>down (mm)</th><th>away (mm)</th></tr>\n{rows}</table></details>\n"
    )


def _counted(people: int) -> str:
    return {0: "nobody", 1: "one person"}.get(people, f"{people} people")


def _origin_in_words(origin: str) -> str:
    return {
        "given": "in the boxes that were given",
        "detector": "found by the person detector, numbered from left to right",
        "whole picture": "no box was given, so the whole picture was taken for one person",
    }[origin]


_OVERVIEW = '<p><a href="../index.html">All pictures and videos of this call</a></p>'
_LEGEND = (
    "<figcaption>The person's own"
    + "".join(
        f'<span class="side" style="background:{colour};{shape}"></span>{words}'
        for colour, words, shape in zip(
            SIDE_COLOURS.values(),
            ("left, squares", "right, circles", "middle"),
            ("", "border-radius:50%", "transform:rotate(45deg) scale(.8)"),
            strict=True,
        )
    )
    + "</figcaption>"
)
_FOOTER = (
    '<footer><p>All numbers, with their units and conventions: <a href="poses.json">poses.json</a>.</p>'
    "</footer>\n"
)
