"""Explorers: each is one call in a notebook, a page without a kernel, and a picture where neither runs.

    from hemlets_lib.explorers import triplet_explorer
    triplet_explorer().show()

`scene` says how an explorer is described; `live`, `static` and `offline` are its three forms.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hemlets_lib.explorers.ambiguity import ambiguity_explorer
from hemlets_lib.explorers.augmentation import augmentation_explorer
from hemlets_lib.explorers.errors import error_explorer
from hemlets_lib.explorers.pose import pose_explorer
from hemlets_lib.explorers.scene import Explorer
from hemlets_lib.explorers.triplet import triplet_explorer
from hemlets_lib.explorers.volume import volume_explorer

__all__ = [
    "EXPLORERS",
    "Explorer",
    "ambiguity_explorer",
    "augmentation_explorer",
    "error_explorer",
    "pose_explorer",
    "triplet_explorer",
    "volume_explorer",
]

# By the name of the page; each works on what ships with the project.
EXPLORERS: Mapping[str, Callable[[], Explorer]] = MappingProxyType(
    {
        "triplet": triplet_explorer,
        "augmentation": augmentation_explorer,
        "pose": pose_explorer,
        "errors": error_explorer,
        "volume": volume_explorer,
        "ambiguity": ambiguity_explorer,
    }
)
