"""Dealing lesions out into parts that are stratified by class and tear nothing apart.

The order comes from SHA-256 of seed and group, never from a random generator, so that the same seed
gives the same parts on every machine and with every library version, whatever the order of the rows.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Part = TypeVar("Part", bound=str)


class SplitError(ValueError):
    """The data cannot be shared out as asked."""


@dataclass(frozen=True)
class Block:
    """Lesion groups that go to one part together.

    Nearly always a single group; several where the bound on group size left confirmed duplicates
    in separate groups, which must not be parted either.

    Attributes:
        groups: Names of the groups, ascending.
        counts: Images of each class.
        leading: The class it is dealt out under: the most frequent in the block, and of equally
            frequent ones the rarest in the data set, since a rare class suffers most from an image
            too many.
    """

    groups: tuple[str, ...]
    counts: Counter[str]
    leading: str

    @property
    def images(self) -> int:
        """Number of images."""
        return self.counts.total()

    def place_in_line(self, seed: int) -> tuple[bool, int, bytes]:
        """Mixed blocks first, then large ones, so that small pure ones can even out the shares."""
        digest = hashlib.sha256(f"{seed}\t{self.groups[0]}".encode()).digest()
        return len(self.counts) == 1, -self.images, digest


def make_blocks(
    groups: Mapping[str, Sequence[str]], counts: Mapping[str, Counter[str]]
) -> list[Block]:
    """Describe what has to stay together.

    Args:
        groups: Names of the groups of each block.
        counts: Images of each class in each block.
    """
    totals = sum(counts.values(), Counter[str]())
    return [
        Block(
            groups=tuple(sorted(groups[name])),
            counts=counts[name],
            leading=min(counts[name], key=lambda dx: (-counts[name][dx], totals[dx], dx)),
        )
        for name in counts
    ]


def deal(
    blocks: Sequence[Block], shares: Mapping[Part, float], seed: int, *, advice: str
) -> dict[str, Part]:
    """Deal blocks out so that every class comes as close to its shares as whole blocks allow.

    Args:
        blocks: What is dealt out.
        shares: Share of the images that each part is to get; they sum to 1.
        seed: Decides which of equally suitable blocks goes where.
        advice: What to do where a class has fewer blocks than there are parts; ends the message.

    Returns:
        The part that each group goes to. Every part gets at least one block of every class.

    Raises:
        SplitError: A class has fewer blocks than there are parts.
    """
    parts = tuple(shares)
    waiting = Counter(block.leading for block in blocks)
    for label, number in sorted(waiting.items()):
        if number < len(parts):
            raise SplitError(
                f"class '{label}' has {number} lesion groups; expected at least {len(parts)}, "
                f"{advice}"
            )
    totals = sum((block.counts for block in blocks), Counter[str]())
    filled: dict[Part, Counter[str]] = {part: Counter() for part in parts}
    part_of: dict[str, Part] = {}
    for block in sorted(blocks, key=lambda b: b.place_in_line(seed)):
        label = block.leading
        lacking = {part: shares[part] * totals[label] - filled[part][label] for part in parts}
        empty = [part for part in parts if not filled[part][label]]
        fitting = [part for part in parts if block.counts[label] <= lacking[part]]
        if waiting[label] <= len(empty):  # the last chance for each of these parts to get one
            choice = max(empty, key=lambda part: lacking[part])
        elif fitting:  # relative to its share, so that large lesions spread over all parts
            choice = max(fitting, key=lambda part: lacking[part] / shares[part])
        else:
            choice = max(parts, key=lambda part: lacking[part])
        waiting[label] -= 1
        filled[choice].update(block.counts)
        part_of.update(dict.fromkeys(block.groups, choice))
    return part_of
