"""Which images of a data set share a production order: by their path, or by their content."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from inspection.errors import ImportDataError
from inspection.importers.labelled import LabelledImage, LabelledSet
from inspection.ontology import Ontology
from inspection.progress import report

GROUP = "group"
"""The named group of a path pattern, and the field of a COCO image where none is named."""


def group_by_path(data: LabelledSet, pattern: str) -> LabelledSet:
    """Puts the images into one order whose paths show the same text at the pattern's named group.

    The pattern may match anywhere in the path relative to the set's folder. An image whose path it does
    not match stays its own order, and is counted.

    Args:
        data: as read; each image is its own order.
        pattern: regular expression with a group ``(?P<group>...)``.

    Raises:
        ImportDataError: the pattern is no regular expression, has no such group, or matches no path.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ImportDataError(f"{pattern!r} is no regular expression: {error}") from error
    if GROUP not in compiled.groupindex:
        raise ImportDataError(f"{pattern!r} names no group: write (?P<{GROUP}>...) around what is shared")
    found = [(image, compiled.search(image.file_name)) for image in data.images]
    images = tuple(
        replace(image, group=match[GROUP]) if match and match[GROUP] else image for image, match in found
    )
    ungrouped = sum(not (match and match[GROUP]) for _, match in found)
    if ungrouped == len(images):
        raise ImportDataError(f"{pattern!r} matches no path; the first one is {images[0].file_name!r}")
    return replace(data, images=images, bad={**data.bad, "path without the group": ungrouped})


def find_repeats(folder: Path, names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Finds files with exactly the same content, by SHA-256; only those of equal length are read.

    Args:
        folder: that the names are relative to.
        names: of the files; one that is missing has no content.

    Returns:
        The names that share a content, for each content with at least two.

    Raises:
        ImportDataError: the system refuses to open a file.
    """
    by_length: defaultdict[int, list[str]] = defaultdict(list)
    for name in dict.fromkeys(names):
        if (folder / name).is_file():
            by_length[(folder / name).stat().st_size].append(name)
    candidates = [name for same in by_length.values() if len(same) > 1 for name in same]
    by_hash: defaultdict[str, list[str]] = defaultdict(list)
    for done, name in enumerate(candidates, start=1):
        try:
            with (folder / name).open("rb") as file:
                by_hash[hashlib.file_digest(file, "sha256").hexdigest()].append(name)
        except OSError as error:
            raise ImportDataError(f"cannot read {folder / name}: {error.strerror}") from error
        report("compare files", done, len(candidates))
    return tuple(tuple(same) for same in by_hash.values() if len(same) > 1)


def repeats_across_orders(images: Sequence[LabelledImage], repeats: Sequence[Sequence[str]]) -> int:
    """Counts the files that repeat a content, the first of each aside, where it is in several orders."""
    orders: defaultdict[str, set[str]] = defaultdict(set)
    for image in images:
        orders[image.file_name].add(image.group)
    return sum(len(same) - 1 for same in repeats if len(set().union(*(orders[name] for name in same))) > 1)


def contradictions(
    images: Sequence[LabelledImage], repeats: Sequence[Sequence[str]], taxonomy: Ontology
) -> int:
    """Counts the contents whose files have labels of different classes; one without a label says nothing."""
    told: defaultdict[str, set[frozenset[str]]] = defaultdict(set)
    for image in images:
        words = {annotation.category for annotation in image.annotations}
        if words:
            told[image.file_name].add(frozenset(taxonomy.resolve(word) or word for word in words))
    return sum(len(set().union(*(told[name] for name in same))) > 1 for same in repeats)


def unite_repeats(
    images: Sequence[LabelledImage], repeats: Sequence[Sequence[str]]
) -> tuple[LabelledImage, ...]:
    """Unites the orders that share a content; the new one has the name of the first of them.

    Orders that share a content with the same third one are united too (disjoint-set forest).
    """
    content = {name: same[0] for same in repeats for name in same}
    place = {group: number for number, group in enumerate(dict.fromkeys(image.group for image in images))}
    parent: dict[str, str] = {group: group for group in place}
    first: dict[str, str] = {}
    for image in images:
        known = first.setdefault(content.get(image.file_name, image.file_name), image.group)
        older, younger = sorted((_root(parent, known), _root(parent, image.group)), key=place.__getitem__)
        parent[younger] = older
    return tuple(replace(image, group=_root(parent, image.group)) for image in images)


def _root(parent: dict[str, str], group: str) -> str:
    while parent[group] != group:
        parent[group] = parent[parent[group]]  # keeps the paths short
        group = parent[group]
    return group
