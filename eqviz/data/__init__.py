"""Jets and images: containers, files, public data sets and the event generator."""

from eqviz.data import toptag as _toptag  # noqa: F401  (registers itself)
from eqviz.data.catalogue import DATASETS, SPLITS, load
from eqviz.data.dataset import JetDataset
from eqviz.data.image_batch import ImageBatch, ImageLayout
from eqviz.data.image_dataset import IMAGE_DATASETS, ImageDataset, load_images
from eqviz.data.images import jet_images
from eqviz.data.jets import JetBatch, concatenate

__all__ = [
    "DATASETS",
    "IMAGE_DATASETS",
    "SPLITS",
    "ImageBatch",
    "ImageDataset",
    "ImageLayout",
    "JetBatch",
    "JetDataset",
    "concatenate",
    "jet_images",
    "load",
    "load_images",
]
