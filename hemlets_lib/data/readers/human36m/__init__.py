"""Human3.6M, as it was published and in the forms that it is handed round in.

`facts` holds names, splits and damage; `files`, `cameras` and `metadata` what the original consists of;
`videos` and `images`, with `lists`, what forms with videos and with picture files have in common.
"""

from __future__ import annotations

from hemlets_lib.data.readers.contract import Reader
from hemlets_lib.data.readers.human36m.fetch import Human36mFetch
from hemlets_lib.data.readers.human36m.hemlets import Human36mHemlets
from hemlets_lib.data.readers.human36m.meta import Human36mMetaMat, Human36mMetaText
from hemlets_lib.data.readers.human36m.npz import Human36mMmpose, Human36mSpin
from hemlets_lib.data.readers.human36m.original import Human36mOriginal
from hemlets_lib.data.readers.human36m.pavlakos import Human36mPavlakos
from hemlets_lib.data.readers.human36m.posenet_json import Human36mPosenetJson
from hemlets_lib.data.readers.human36m.poses import Human36mMartinez, Human36mVideopose

__all__ = ["READERS"]

READERS: tuple[type[Reader], ...] = (
    Human36mOriginal,
    Human36mFetch,
    Human36mVideopose,
    Human36mMartinez,
    Human36mMetaMat,
    Human36mMetaText,
    Human36mPosenetJson,
    Human36mMmpose,
    Human36mSpin,
    Human36mPavlakos,
    Human36mHemlets,
)
