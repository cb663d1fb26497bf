"""Data: one `Sample` contract, and the readers and generators that fill it.

| module | what it gives |
|---|---|
| `sample`, `images` | `Sample`, `Batch`, `collate`, `normalise`; pictures and crops |
| `samples` | `load_samples`: the samples shipped with the project, or labelled photographs |
| `photos` | `read_photos`: folders of labelled photographs |
| `synthetic`, `cameras` | `SyntheticDataset`: people drawn before Human3.6M's cameras |
| `counterparts` | `Counterpart`: people drawn after HumanEva-I, MPI-INF-3DHP, MPII, Ordinal, FBI |
| `motion/` | `perform`: the 15 actions by 7 subjects, and a jog |
| `mocap/` | `read_mocap`: real motion capture |
| `render/` | `render_person`: a picture from joints |
| `shards/` | `build_shards`, `ShardDataset`, `verify_shards`: samples on disk |
| `mixing` | `Mixture`: mixed batches of several of these, by a plan without state |

Only the first row is imported here; the others load compiled code or more.
"""

from hemlets_lib.data.images import crop_image, read_image
from hemlets_lib.data.sample import Batch, Meta, Sample, collate, make_sample, normalise

__all__ = ["Batch", "Meta", "Sample", "collate", "crop_image", "make_sample", "normalise", "read_image"]
