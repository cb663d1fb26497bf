"""The ambiguity ledger: where the paper is silent or this library departs from it, as data.

Code says so on the spot (`Paper silent: …`, `Differs from the paper: …`); a test holds the two together.
What a choice does to the numbers is measured by the experiment `ledger` of the registry, whose conditions
the entries name; `experiments.ledger_effects` brings both together, for notebook 08.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LEDGER", "Entry"]


@dataclass(frozen=True)
class Entry:
    """One open question and its answer here.

    Args:
        topic: In a few words.
        paper: What the paper says.
        choice: What the library does.
        reason: Why.
        module: Where, below `hemlets_lib`.
        option: The argument or field that changes it, where there is one.
        conditions: Of the experiment `ledger`: what was chosen otherwise there.
    """

    topic: str
    paper: str
    choice: str
    reason: str
    module: str
    option: str = ""
    conditions: tuple[str, ...] = ()


LEDGER: tuple[Entry, ...] = (
    Entry(
        "the 14 parts",
        "Fig. 2 shows K = 14 parts and lists none.",
        "Limbs, pelvis→neck, neck→head, neck→shoulders, pelvis→hips.",
        "Needs no joint that MPII and LSP do not label.",
        "skeleton",
        "Skeleton(part_names=…)",
        ("bones as parts",),
    ),
    Entry(
        "exactly at the threshold",
        "Eq. (1) leaves |z_p - z_c| = ε open.",
        "State 0.",
        "A part of length 0 is then level, not undefined. No option: labels on the very boundary are "
        "counted instead (`experiments.ledger_effects.count_ties`).",
        "triplets",
    ),
    Entry(
        "the mask A",
        "Eq. (3): an element-wise binary tensor.",
        "One value per part; a missing joint or state masks all its maps.",
        "Without its state no map of the part has a known target.",
        "triplets",
    ),
    Entry(
        "width of the Gaussians",
        "'Normalized Gaussian peaks', without σ.",
        "σ = 2 cells at 64, in proportion otherwise.",
        "The common choice for 64-cell maps.",
        "heatmaps",
        "sigma",
        ("half σ", "twice σ"),
    ),
    Entry(
        "height of the Gaussians",
        "'Normalized Gaussian peaks': the height may be 1, or the sum.",
        "Height 1.",
        "Keeps targets within 0 … 1. A sum of 1 at σ = 2 makes Eq. (7) about 600 times smaller, (2πσ²)², "
        "so that α would have to be as much larger.",
        "heatmaps",
        "norm",
        ("peaks of sum 1", "peaks of sum 1, α 50"),
    ),
    Entry(
        "two peaks in one map",
        "Eq. (2) puts parent and child into one map; how they overlap is not said.",
        "By maximum.",
        "A peak is then 1 high wherever the other is.",
        "triplets",
        "overlap",
        ("peaks that add up",),
    ),
    Entry(
        "the grid of maps and volume",
        "Where in crop space a cell lies is not said.",
        "Cells fill the crop; `official` has the outer ones' centres on its border, as its release does.",
        "The convention of pixels, too: maps of any size cover the same ground.",
        "geometry",
        "corner_aligned",
        ("corner-aligned grid",),
    ),
    Entry(
        "the range of depth",
        "A volume of 64 cells in depth; of how many millimetres is not said.",
        "±1000 mm about the root.",
        "The authors' inference code says so, and a body's reach is little more.",
        "geometry",
        "depth_range_mm",
        ("depth ±600 mm", "depth ±1500 mm"),
    ),
    Entry(
        "depth under scaling",
        "The picture is scaled by 0.75 to 1.25; whether depth is, is not said.",
        "Depth stays metric.",
        "A person of one size at another distance: the labels remain true in millimetres.",
        "augment",
        "scale_depth",
        ("depth scaled along",),
    ),
    Entry(
        "channel widths",
        "34.3 M and 47.7 M parameters in total.",
        "Layers at the baseline's width of 256 that add up to 34.29 M and 47.71 M.",
        "A small set of layers of Fig. 3 that meets both totals. The 3x3 convolution at full resolution is a "
        "guess: it costs more time than the paper's 13.3 against 8.5 ms suggest (notebook 03).",
        "model_config",
        "ModelConfig",
        ("encoder of 128 channels",),
    ),
    Entry(
        "initial weights",
        "Nothing.",
        "He et al.'s, almost zero (σ = 0.001) in the layers that put out maps and volume.",
        "Training starts from empty maps and an even softmax.",
        "model",
        "output_std",
        ("output layers as all others",),
    ),
    Entry(
        "the backbone's start",
        "A ResNet-50; from where is not said.",
        "ImageNet weights where they can be had, with a message where not.",
        "The method it builds on does so.",
        "pretrained",
        "allow_missing",
    ),
    Entry(
        "reduction of the map losses",
        "Eq. (3) and (4) are squared norms.",
        "Summed over maps and cells, averaged over the batch.",
        "The formula taken literally; only the batch is averaged.",
        "losses",
        "map_reduction",
        ("mean over maps",),
    ),
    Entry(
        "a mask in the 2D loss",
        "Eq. (4) sums over all N joints.",
        "Unlabelled joints are left out.",
        "MPII labels 16 of the 18 joints.",
        "losses",
    ),
    Entry(
        "unit of the joint loss",
        "Eq. (6) gives none.",
        "Cells.",
        "Makes α = 0.05 a balance between Eq. (6) and Eq. (7).",
        "losses",
        "unit",
        ("joints in crop units",),
    ),
    Entry(
        "what PA-MPJPE aligns with",
        "'A rigid transformation'.",
        "A similarity: rotation, translation and scale; never a reflection.",
        "So did most of the methods it is compared with.",
        "metrics",
        "with_scale",
    ),
    Entry(
        "the average of Table 1",
        "'Avg'.",
        "Both are printed: the mean of the action means, and the mean over frames.",
        "They differ, and the field mostly prints the first.",
        "metrics",
    ),
    Entry(
        "protocol #2 of Table 1",
        "'Only S11 for evaluation'; whether that block is aligned is not said.",
        "Four numbers: S9 and S11 or S11 alone, root upon root or Procrustes.",
        "The methods in its block print Procrustes-aligned errors over S9 and S11.",
        "protocols",
    ),
    Entry(
        "the error of Table 2",
        "'The popular protocol'.",
        "After Procrustes, and root upon root.",
        "The methods it is compared with align.",
        "protocols",
    ),
    Entry(
        "the person's box",
        "Nothing.",
        "The joints' longer extent, times 1.25, square.",
        "Hands, feet and hair reach beyond the joints.",
        "data.sample",
        "margin",
    ),
    Entry(
        "strength of the colour distortions",
        "'Color distortions', without numbers.",
        "Brightness, contrast and saturation within ±20 %, each channel's gain within ±10 %.",
        "Common in this field.",
        "augment",
        "brightness",
    ),
    Entry(
        "shares of 2D and 3D data in a batch",
        "'Mixed training', without a ratio.",
        "Half and half, or equal shares of more sources; the same in every batch to within one row.",
        "So does the method whose strategy it adopts (Sun et al., ECCV 2018).",
        "data.mixing",
        "ratios",
    ),
    Entry(
        "errors in labelled depth order",
        "'The amount of manual annotation errors related to different annotation schemes', without numbers.",
        "Drawn labels err by 0.2 of a part's length; those after FBI leave out what is near the threshold.",
        "The same eyes then make fewer errors with FBI, as the paper suspects.",
        "data.counterparts",
        "noise",
    ),
    Entry(
        "joints that augmentation moves out of the crop",
        "Nothing.",
        "They stay labels: x and y are drawn to the border, depth is learnt.",
        "The L1 norm pulls no harder for a joint far off.",
        "targets",
        "only_in_crop",
    ),
    Entry(
        "5s-HEM and labels of depth order",
        "Nothing.",
        "Only parts whose ends are known in space are supervised.",
        "A label of ±1 may be ±2; the zeros alone would teach that all parts are level.",
        "targets",
    ),
    Entry(
        "warm-up, clipping, schedule",
        "A rate of 0.001 and Adam; no word of how it starts or ends.",
        "Linear warm-up and a clipped gradient; constant for `paper`, a cosine for the small presets.",
        "Users of the sibling method report divergence at this rate; experiments/recipe.py measures each.",
        "recipes",
        "warmup_steps",
    ),
    Entry(
        "α for small maps",
        "Eq. (8): α = 0.05, at 64 cells.",
        "0.05 for `paper` and `small`, 4 for `nano`, whose maps have 24 cells.",
        "Sums over fewer cells weigh less; at 0.05 the triplets stay unlearnt, and depth with them.",
        "recipes",
        "alpha",
        ("α 0.05", "α 1", "α 16"),
    ),
)
