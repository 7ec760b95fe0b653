"""What a model saw while it was made, so that other pictures can be checked against it.

Of every picture of training and validation two hashes are kept, and nothing else: the SHA-256 of
its file, which tells the very file, and a perceptual hash, which tells a copy that was saved anew,
resized, flipped or turned by quarters. Neither gives the picture back; whoever holds a picture can
learn from them that the model saw it, which is what they are for.

The perceptual hash is longer than the one that finds candidates of duplicates. Most dermatoscopic
pictures show one dark spot in the middle, and 64 bits cannot tell them apart: within 4 bits of some
other lesion's picture lie 2.5 % of the test pictures of HAM10000. Duplicates are confirmed on
pixels; here there are none to confirm on. Of 255 bits no two pictures of different lesions of
HAM10000 (10,015 pictures, in all eight positions) are closer than 30, while copies saved as JPEG of
quality 60, halved, doubled, squared to 224 pixels, mirrored, turned by 90 degrees or 30 % darker lie
within 24. Crops beyond a fiftieth of each side, added frames and turns by a few degrees go unseen; so
do, where pictures are cropped to the shape of a model's input, quarter turns and copies of another
shape. `padded_content` cuts the borders of padding off before hashing.
"""

import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skin_lesion.data.duplicates import content_boxes
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import LEARNING_SPLITS, LearningSplit, SplitTable

Bytes = NDArray[np.uint8]

SEEN_SPLITS = LEARNING_SPLITS
HASH_BITS = 255
_HASH_SIDE, _PICTURE_SIDE = 16, 32
_HASH_BYTES, _CHECKSUM_BYTES = 32, 32
_TURNS = 8
_BLOCK_PAIRS = 2**18  # compared at once: some 10 MB
_FIELDS = ("checksums", "hashes", "splits", "data")


@dataclass(frozen=True)
class Matches:
    """The nearest picture that was seen, for each of N pictures.

    Attributes:
        exact: Whether it is the very same file, shape (N,).
        distance: Bits of 255 in which the perceptual hashes differ, in the best of the eight
            positions, shape (N,).
        split: The split of that picture, N names.
    """

    exact: NDArray[np.bool_]
    distance: NDArray[np.int64]
    split: tuple[LearningSplit, ...]


@dataclass(frozen=True)
class SeenPictures:
    """Hashes of M pictures that a model was trained or chosen by.

    Attributes:
        data: Name of their data set.
        checksums: SHA-256 of each file, shape (M, 32).
        hashes: Perceptual hash of each picture, shape (M, 32).
        splits: Index of each one's split in `SEEN_SPLITS`, shape (M,).
    """

    data: str
    checksums: Bytes
    hashes: Bytes
    splits: Bytes

    def __len__(self) -> int:
        return len(self.splits)

    @classmethod
    def of(cls, manifest: Manifest, images: ImageArray, split: SplitTable) -> "SeenPictures":
        """Hash what was seen of a data set.

        Args:
            manifest: Checksums of the files.
            images: The pictures, at the size of the model's input.
            split: Who saw which.
        """
        indices = [split.indices(name) for name in SEEN_SPLITS]
        rows = np.concatenate(indices)
        padded = manifest.provenance.resize_mode == "pad"
        boxes = content_boxes(manifest, images)[rows] if padded else None
        checksums = checksum_bytes(list(manifest.images["sha256"].iloc[rows]))
        # By checksum, so that the order tells nothing of the names.
        order = np.lexsort(checksums.T[::-1])
        hashes = pack(coefficients(images.open(), rows, boxes))
        splits = np.repeat(np.arange(len(indices), dtype=np.uint8), [len(one) for one in indices])
        return cls(manifest.provenance.name, checksums[order], hashes[order], splits[order])

    def match(self, checksums: Bytes, spectra: NDArray[np.float64]) -> Matches:
        """Find the nearest seen picture of each of N pictures.

        Args:
            checksums: SHA-256 of the files, shape (N, 32).
            spectra: Made by `coefficients`, shape (N, 16, 16).
        """
        distance = np.full(len(spectra), HASH_BITS + 1, np.int64)
        nearest = np.zeros(len(spectra), np.int64)
        known = _words(self.hashes)
        block = max(1, _BLOCK_PAIRS // len(known))
        for turn in range(_TURNS):
            asked = _words(pack(turned(spectra, turn)))
            for start in range(0, len(asked), block):
                part = slice(start, start + block)
                bits = _distances(asked[part], known)
                best = bits.argmin(axis=1)
                found = np.take_along_axis(bits, best[:, None], axis=1)[:, 0]
                closer = found < distance[part]
                distance[part] = np.where(closer, found, distance[part])
                nearest[part] = np.where(closer, best, nearest[part])
        rows = {bytes(one): row for row, one in enumerate(self.checksums)}
        same = [rows.get(bytes(one)) for one in checksums]
        exact = np.array([row is not None for row in same], dtype=np.bool_)
        nearest = np.array(
            [near if row is None else row for row, near in zip(same, nearest, strict=True)],
            np.int64,
        )
        return Matches(exact, distance, tuple(SEEN_SPLITS[index] for index in self.splits[nearest]))

    def save(self, path: Path) -> None:
        """Write an `.npz` file, the same bytes for the same pictures."""
        # A file handle: for a path NumPy would add a suffix of its own.
        with path.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                checksums=self.checksums,
                hashes=self.hashes,
                splits=self.splits,
                data=np.array(self.data),
            )

    @classmethod
    def load(cls, path: Path) -> "SeenPictures":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
        except (zipfile.BadZipFile, EOFError, ValueError, TypeError) as error:
            raise ValueError(f"{path} is no list of seen pictures: {error}") from error
        shapes = {name: array.shape for name, array in found.items()}
        count = len(found["splits"]) if found.get("splits", np.array(0)).ndim else 0
        expected = {
            "checksums": (count, _CHECKSUM_BYTES),
            "hashes": (count, _HASH_BYTES),
            "splits": (count,),
            "data": (),
        }
        kinds = {name: "U" if name == "data" else "u" for name in _FIELDS}
        sound = (
            count > 0
            and shapes == expected
            and all(found[name].dtype.kind == kind for name, kind in kinds.items())
            and all(found[name].itemsize == 1 for name in _FIELDS[:3])
        )
        if not sound or found["splits"].max() >= len(SEEN_SPLITS):
            raise ValueError(
                f"{path} holds {shapes}; expected {', '.join(_FIELDS)} of one or more pictures: "
                "evaluate the model anew"
            )
        return cls(str(found["data"]), found["checksums"], found["hashes"], found["splits"])


def checksum_bytes(checksums: list[str]) -> Bytes:
    """SHA-256 checksums in hexadecimal digits as bytes, shape (N, 32)."""
    raw = b"".join(bytes.fromhex(one) for one in checksums)
    return np.frombuffer(raw, np.uint8).reshape(len(checksums), _CHECKSUM_BYTES)


def coefficients(
    pixels: Bytes, rows: NDArray[np.int64], boxes: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Lowest coefficients of the cosine transform of some pictures in grey, shape (N, 16, 16).

    Args:
        pixels: Shape (M, H, W, 3), RGB; may be memory-mapped.
        rows: Which of them, shape (N,).
        boxes: Left, upper, right and lower end of what is to be looked at of each of the N, shape
            (N, 4); None takes all. Borders that padding added would make strangers alike.
    """
    basis = _basis()
    found = np.empty((len(rows), _HASH_SIDE, _HASH_SIDE))
    for number, row in enumerate(rows):
        grey = Image.fromarray(pixels[row]).convert("L")
        if boxes is not None:
            grey = grey.crop(tuple(boxes[number].tolist()))
        small = grey.resize((_PICTURE_SIDE, _PICTURE_SIDE), Image.Resampling.LANCZOS)
        found[number] = basis @ np.asarray(small, dtype=np.float64) @ basis.T
    # Rounding keeps flat pictures, whose coefficients are all numerical noise, at one value.
    return np.asarray(np.round(found, 6))


def turned(spectra: NDArray[np.float64], turn: int) -> NDArray[np.float64]:
    """What `coefficients` of the same pictures, mirrored and turned, would be.

    Args:
        spectra: Shape (N, 16, 16).
        turn: 0 to 7: bit 0 mirrors left and right, bit 1 top and bottom, bit 2 swaps the axes.
    """
    odd = np.where(np.arange(_HASH_SIDE) % 2, -1.0, 1.0)
    found = spectra.transpose(0, 2, 1) if turn & 4 else spectra
    if turn & 1:
        found = found * odd
    if turn & 2:
        found = found * odd[:, None]
    return found


def pack(spectra: NDArray[np.float64]) -> Bytes:
    """Signs of all coefficients but the mean grey, as bytes, shape (N, 32)."""
    signs = spectra.reshape(len(spectra), _HASH_SIDE**2)[:, 1:] > 0
    return np.packbits(signs, axis=1)


@cache
def _basis() -> NDArray[np.float64]:
    frequency, place = np.arange(_HASH_SIDE)[:, None], np.arange(_PICTURE_SIDE)
    return np.asarray(np.cos(np.pi * frequency * (2 * place + 1) / (2 * _PICTURE_SIDE)))


def _distances(asked: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Bits in which hashes differ, shape (N, M)."""
    bits = np.zeros((len(asked), len(known)), np.uint16)
    # A word at a time: a sum over an axis of four is six times as slow.
    for word in range(asked.shape[1]):
        bits += np.bitwise_count(asked[:, None, word] ^ known[None, :, word])
    return bits


def _words(hashes: Bytes) -> NDArray[np.uint64]:
    """The same bits in fewer numbers, shape (N, 4)."""
    return np.ascontiguousarray(hashes).view(np.uint64)
