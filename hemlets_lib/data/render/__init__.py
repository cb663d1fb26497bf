"""Pictures of people from 18 joints.

`appearance` says what somebody looks like, `backdrops` where they are; `figure` turns joints into rings of
flesh and cloth, `tubes` rings into triangles, `raster` triangles into pixels; `person` is the way in.
"""

from hemlets_lib.data.render.appearance import Appearance, Prop
from hemlets_lib.data.render.backdrops import BackdropKind, backdrop
from hemlets_lib.data.render.person import LIGHT_DIRECTION, Floor, render_person

__all__ = [
    "LIGHT_DIRECTION",
    "Appearance",
    "BackdropKind",
    "Floor",
    "Prop",
    "backdrop",
    "render_person",
]
