"""Evaluation: samples and a network in, the paper's tables out.

    model, _ = load_checkpoint("nano.safetensors")
    print(evaluate(model, SyntheticDataset(1200, split="test"), protocol="h36m").to_markdown())

Pictures are read, predicted and dropped a batch at a time; what is kept of a sample is its two poses. All
metrics are then computed at once (`scores`).
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from hemlets_lib.data.sample import Meta, Sample
from hemlets_lib.data.shards import ShardDataset
from hemlets_lib.geometry import root_relative
from hemlets_lib.model import HEMletsNet, ModelConfig
from hemlets_lib.official_evaluation import official_joints_px, restore_by_labels, restore_by_search
from hemlets_lib.prediction import Prediction, Sources, predict
from hemlets_lib.protocols import Protocol, get_protocol, is_drawn
from hemlets_lib.scores import Evaluation, Poses, score_poses
from hemlets_lib.skeleton import Skeleton

__all__ = ["FLIP_TESTS", "ROOT_DEPTHS", "evaluate", "evaluate_as_released"]

ROOT_DEPTHS: Mapping[str, str] = MappingProxyType(
    {
        "labels": "the root joint's true depth, as the field does",
        "bones": "none is told: each person's distance follows from an average adult's bone lengths",
        "bone_search": "none is told: the authors' search by S1's bone lengths, in a camera that they assume",
    }
)
FLIP_TESTS: Mapping[str, str] = MappingProxyType(
    {
        "none": "none",
        "standard": "mean with the mirrored picture",
        "official": "mean with the mirrored picture as the authors take it: half a pixel to the left",
    }
)
_NAMES_SHOWN = 8


def evaluate(
    model: HEMletsNet,
    samples: Sources | Iterable[Sample],
    *,
    protocol: Protocol | str = "h36m",
    flip_test: bool | str = False,
    batch_size: int = 64,
    device: str | torch.device | None = None,
    frame_step: int | None = None,
    root_depth: str = "labels",
    on_progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Scores a network by a protocol. Samples the protocol does not count, or without 3D, are passed over.

    Args:
        model: In any mode; it and all random generators stay as they are.
        samples: A data set, a list, or a generator: they are read once, in order. Of shards, those that do
            not count are not even decoded.
        protocol: One of `protocols.PROTOCOLS`, or its name.
        flip_test: Average with the prediction of the mirrored picture; takes twice the time. One of
            `FLIP_TESTS`, or True for "standard"; "official" also means the authors' pixels.
        batch_size: Pictures at once.
        device: Where to compute; the model's own device where left out.
        frame_step: Of recorded videos every so many frames count; the protocol's own where left out.
        root_depth: What makes millimetres of pixels where a sample has a camera: "labels", the root joint's
            true depth; "bones", the depth at which an average adult has the right size; or "bone_search",
            the authors' way to that, which leaves the sample's camera aside.
        on_progress: Is told after each batch how many samples were looked at.

    Raises:
        ValueError: If nothing counts, a sample is of another skeleton, not square or shows nothing of the
            person, or an option is unknown; the message says what to do.
    """
    if isinstance(protocol, str):
        protocol = get_protocol(protocol)
    if root_depth not in ROOT_DEPTHS:
        raise ValueError(
            f"`root_depth` must be one of {', '.join(map(repr, ROOT_DEPTHS))}, got {root_depth!r}."
        )
    flip = flip_test if isinstance(flip_test, str) else "standard" if flip_test else "none"
    if flip not in FLIP_TESTS:
        choices = ", ".join(map(repr, FLIP_TESTS))
        raise ValueError(f"`flip_test` must be True, False or one of {choices}, got {flip_test!r}.")
    if flip == "official" and root_depth == "bones":
        raise ValueError(
            "`flip_test` 'official' goes with `root_depth` 'labels' or 'bone_search', got 'bones'. The "
            "authors have no other way to a distance."
        )
    step = protocol.frame_step if frame_step is None else frame_step
    if step < 1 or batch_size < 1:
        raise ValueError(f"`frame_step` and `batch_size` must be positive, got {step} and {batch_size}.")
    skeleton = model.config.skeleton
    if device is not None:
        model = copy.deepcopy(model).to(device)

    chosen = _Chosen(protocol, step, skeleton)
    batches: list[Poses] = []
    depth_sources: Counter[str] = Counter()
    for batch in _in_batches(chosen.out_of(samples), batch_size):
        told = root_depth == "labels"
        pictures = batch if told else [replace(each, joints_cam_mm=None) for each in batch]
        found = predict(model, pictures, flip_test=flip != "none", batch_size=batch_size, return_maps=False)
        found = _as_released(found, batch, model.config, flip=flip, root_depth=root_depth)
        depth_sources.update(found.depth_source)
        batches.append(
            Poses(
                predicted_mm=found.joints_root_rel_mm,
                target_mm=torch.stack([_cam_mm(sample) for sample in batch]),
                metas=tuple(sample.meta for sample in batch),
                decoded_states=None if found.decoded is None else found.decoded.states,
            )
        )
        if on_progress is not None:
            on_progress(chosen.counts["samples looked at"])
    if not batches:
        raise ValueError(chosen.why_nothing_counts())
    poses = _joined(batches)
    kinds = Counter(f"{meta.dataset} ({'drawn' if is_drawn(meta) else 'recorded'})" for meta in poses.metas)
    scored = score_poses(poses, protocol, skeleton=skeleton, variant=model.config.variant)
    statements = {
        **scored.statements,
        "pictures": _listed(kinds),
        "frames": _frames_in_words(step),
        "root depth": f"{ROOT_DEPTHS[root_depth]} ({_listed(depth_sources)})",
        "flip test": FLIP_TESTS[flip],
    }
    return replace(scored, statements=statements, counts={**chosen.counts, **scored.counts})


def evaluate_as_released(
    model: HEMletsNet, samples: Sources | Iterable[Sample], **options: Any
) -> Evaluation:
    """Scores a network the way the authors' release does (`official_evaluation`), for Human3.6M.

    That is the table of `protocol="h36m_official"`, which decides nothing but rows and alignment, together
    with `flip_test="official"` and `root_depth="bone_search"`.

    Args:
        model: As in `evaluate`.
        samples: As in `evaluate`.
        options: `batch_size`, `device`, `frame_step`, `on_progress` of `evaluate`.

    Raises:
        ValueError: As `evaluate`; or if a sample's camera is not such as Human3.6M's.
    """
    return evaluate(
        model, samples, protocol="h36m_official", flip_test="official", root_depth="bone_search", **options
    )


def _as_released(
    found: Prediction, samples: Sequence[Sample], config: ModelConfig, *, flip: str, root_depth: str
) -> Prediction:
    """The poses anew where the authors' pixels or their search are asked for."""
    if flip != "official" and root_depth != "bone_search":
        return found
    joints_px = found.joints_px
    if flip == "official":
        joints_px = official_joints_px(found, size=config.image_size).float()
    restore, source = (
        (restore_by_labels, "known") if root_depth == "labels" else (restore_by_search, "bone search")
    )
    joints_mm = restore(joints_px, found, samples, skeleton=config.skeleton)
    return found._replace(
        joints_px=joints_px,
        joints_root_rel_mm=root_relative(joints_mm, config.skeleton.root).float(),
        depth_source=(source,) * len(samples),
    )


class _Chosen:
    """Picks out what counts, checks it, and keeps the books."""

    def __init__(self, protocol: Protocol, frame_step: int, skeleton: Skeleton) -> None:
        self.protocol, self.frame_step, self.skeleton = protocol, frame_step, skeleton
        self.counts: Counter[str] = Counter()
        self.seen: dict[str, dict[str, None]] = {"subjects": {}, "actions": {}}

    def out_of(self, samples: Sources | Iterable[Sample]) -> Iterator[Sample]:
        for meta, read in _read_on_demand(samples):
            self.counts["samples looked at"] += 1
            self.seen["subjects"][meta.subject] = self.seen["actions"][meta.action] = None
            if self.protocol.column_of(meta) is None:
                self.counts["of other subjects or actions"] += 1
            elif meta.frame % self.frame_step and not is_drawn(meta):
                self.counts["frames in between"] += 1
            elif not _has_3d(sample := read(), self.skeleton.root):
                self.counts["without 3D joints"] += 1
            else:
                _check(sample, self.skeleton)
                self.counts["joints outside the crop (they count)"] += int(
                    (sample.joint_valid & ~sample.in_crop).sum()
                )
                yield sample

    def why_nothing_counts(self) -> str:
        counts, protocol = self.counts, self.protocol
        if not counts["samples looked at"]:
            return "`samples` must hold at least one, got none. Is the folder or the split empty?"
        if counts["without 3D joints"]:
            return (
                f"`samples` must have 3D joints to be scored, got {counts['without 3D joints']} without and "
                "none with. Evaluate on data that holds `joints_cam_mm`; 2D labels give no error in mm."
            )
        if counts["frames in between"]:
            return (
                f"every {self.frame_step}th frame counts (frame % {self.frame_step} == 0), got "
                f"{counts['frames in between']} samples in between and none of those. Pass frame_step=1."
            )
        seen = "; ".join(f"{what} {_shortened(names)}" for what, names in self.seen.items())
        return (
            f"protocol {protocol.name!r} counts {protocol.wanted()}; got {counts['samples looked at']} "
            f"samples and none of those ({seen}). Pass the test split's samples, or protocol='all'."
        )


def _read_on_demand(
    samples: Sources | Iterable[Sample],
) -> Iterator[tuple[Meta, Callable[[], Sample]]]:
    if isinstance(samples, ShardDataset):
        for index, meta in enumerate(samples.metas()):
            yield meta, lambda index=index: samples[index]  # type: ignore[misc]
        return
    each: Iterable[Any] = (
        samples if isinstance(samples, Iterable) else (samples[index] for index in range(len(samples)))
    )
    for sample in each:
        if not isinstance(sample, Sample):
            raise ValueError(
                f"`samples` must be Samples, got {type(sample).__name__}. For pictures without labels there "
                "is predict()."
            )
        yield sample.meta, lambda sample=sample: sample  # type: ignore[misc]


def _has_3d(sample: Sample, root: int) -> bool:
    joints_mm = sample.joints_cam_mm
    return joints_mm is not None and bool(joints_mm[root].isfinite().all())


def _check(sample: Sample, skeleton: Skeleton) -> None:
    name = f"sample {sample.meta.sample_id!r}"
    if len(sample.joints_crop) != skeleton.num_joints:
        raise ValueError(
            f"{name}: expected the {skeleton.num_joints} joints of the network's skeleton {skeleton.name!r}, "
            f"got {len(sample.joints_crop)}. Make the samples with that skeleton (Skeleton.remap), or take a "
            "checkpoint of theirs."
        )
    height, width = sample.image.shape[:2]
    if height != width:
        raise ValueError(
            f"{name}: expected a square crop, got {width} x {height} pixels. Cut it out with make_sample()."
        )
    if not sample.in_crop.any():
        raise ValueError(
            f"{name}: expected the person inside the crop, got {int(sample.joint_valid.sum())} joints that "
            "all lie outside. Do the box and the joints belong to one picture, in its pixels?"
        )


def _cam_mm(sample: Sample) -> Tensor:
    assert sample.joints_cam_mm is not None  # _has_3d
    return sample.joints_cam_mm


def _in_batches(samples: Iterator[Sample], size: int) -> Iterator[list[Sample]]:
    batch: list[Sample] = []
    for sample in samples:
        batch.append(sample)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _joined(batches: Sequence[Poses]) -> Poses:
    states = [batch.decoded_states for batch in batches if batch.decoded_states is not None]
    return Poses(
        predicted_mm=torch.cat([batch.predicted_mm for batch in batches]),
        target_mm=torch.cat([batch.target_mm for batch in batches]),
        metas=tuple(meta for batch in batches for meta in batch.metas),
        decoded_states=torch.cat(states) if states else None,
    )


def _frames_in_words(step: int) -> str:
    every = "every frame" if step == 1 else f"of recorded videos those whose number {step} divides; of drawn"
    return f"{every} {'at hand' if step == 1 else 'samples all'}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))


def _shortened(names: Iterable[str]) -> str:
    listed = [name or "without a name" for name in names]
    return ", ".join(listed[:_NAMES_SHOWN]) + (", …" if len(listed) > _NAMES_SHOWN else "")
