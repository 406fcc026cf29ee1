"""A labelled set of detector images in memory, sparse: files in, batches out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch.utils.data import DataLoader

from eqviz.data.catalogue import SAMPLES, find
from eqviz.data.image_batch import ImageBatch
from eqviz.data.image_storage import read_images, write_images
from eqviz.data.labelled import LabelledSet
from eqviz.registry import Registry


class ImageDataset(LabelledSet[ImageBatch]):
    """Images in memory as one sparse batch; ``batch.dense()`` makes them tensors, a batch at a time.

    >>> import numpy as np
    >>> from eqviz.data.image_batch import ImageLayout
    >>> layout = ImageLayout(("ECAL",), ("GeV",), 4, 4, (1,))
    >>> data = ImageDataset(ImageBatch.from_dense(np.eye(4)[None, None], layout, labels=[1]), "one")
    >>> [batch.dense().shape for batch in data.loader(8)]
    [torch.Size([1, 1, 4, 4])]
    """

    what = "images"

    @classmethod
    def from_parquet(cls, path: str | Path) -> ImageDataset:
        """Read the images of a file, also of one that holds the jets' constituents beside them.

        Raises:
            DataError: no such file, truncated, not Parquet, no images in it, NaN.
        """
        batch, header = read_images(path)
        return cls(batch, header.name or Path(path).stem, header.meta)

    def to_parquet(self, path: str | Path, *, compression: str = "zstd") -> None:
        """Write one Parquet file of images alone; it appears only when it is whole.

        Readings are rounded to 5e-4 relative. Raises StoreError for a full disk or an unwritable folder.
        """
        write_images(path, [self.batch], name=self.name, meta=self.meta, compression=compression)

    def coarser(self, size: int) -> ImageDataset:
        """The same images ``size`` by ``size``: what ``batch.dense(size)`` gives, but made once and kept.

        Raises:
            ConfigError: a size larger than the image, or channels that cannot be summed.
        """
        made: dict[int, ImageDataset] = vars(self).setdefault("_coarser", {})
        if size not in made:
            made[size] = ImageDataset(self.batch.coarser(size), self.name, self.meta)
        return made[size]

    def loader(
        self,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        bucket: bool = False,
        num_workers: int = 0,
    ) -> DataLoader[ImageBatch]:
        """A DataLoader of sparse batches; every image comes exactly once an epoch.

        Dense images are all of one size, so by default none are put together by their number of pixels
        (which tells the classes apart).
        """
        return super().loader(batch_size, shuffle=shuffle, seed=seed, bucket=bucket, num_workers=num_workers)

    def __repr__(self) -> str:
        layout = self.batch.layout
        shape = f"{len(layout.channels)} x {layout.height} x {layout.width}"
        return f"ImageDataset({self.name!r}, {len(self)} images of {shape})"


IMAGE_DATASETS: Registry[Callable[[str], ImageDataset]] = Registry("image data set")


def load_images(name_or_path: str | Path, split: str) -> ImageDataset:
    """Images of one split: of a registered data set, a folder, or a single file.

    Names and files mean the same jets, in the same order, as they do for :func:`eqviz.data.load`.

    Args:
        name_or_path: a name of :data:`IMAGE_DATASETS` or a path.
        split: "train", "val" or "test".

    Raises:
        UnknownNameError: no such name, and no such path either.
        DataError: the split is missing, or its file is damaged or holds no images.
    """
    return find(name_or_path, split, IMAGE_DATASETS, ImageDataset.from_parquet)


@IMAGE_DATASETS.register(
    "qg_sample",
    summary="images of the quark and gluon jets of qg_sample; ships with eqviz",
    reference="1902.08276, with a parametrised detector",
)
def qg_images(split: str) -> ImageDataset:
    """Images (3 x 125 x 125) of the jets that ``load("qg_sample", split)`` gives, in the same order."""
    return ImageDataset.from_parquet(SAMPLES / f"qg_{split}.parquet")


@IMAGE_DATASETS.register(
    "top_images",
    summary="images of top and QCD jets; ships with eqviz, with the same jets' constituents",
    reference="1902.08276, with a parametrised detector",
)
def top_images(split: str) -> ImageDataset:
    """Images (3 x 125 x 125) of the jets that ``load("top_images", split)`` gives, in the same order."""
    return ImageDataset.from_parquet(SAMPLES / f"topimg_{split}.parquet")


@IMAGE_DATASETS.register(
    "egamma",
    summary="electrons against photons of 50 GeV, 32 x 32 crystals, energy and time; made when asked for",
    reference="the format of the CMS single-particle images, with a parametrised detector",
)
def load_egamma(split: str) -> ImageDataset:
    """8,000 images to train on, 2,000 to validate with, 4,000 to test with; a seed of its own for each."""
    from eqviz.data.egamma import egamma_dataset  # needs SciPy's statistics, slow to import

    n, seed = {"train": (8000, 31), "val": (2000, 32), "test": (4000, 33)}[split]
    return egamma_dataset(n, seed)
