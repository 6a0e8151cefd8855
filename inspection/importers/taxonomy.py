"""A taxonomy for a data set that brings only names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from inspection.errors import ImportDataError
from inspection.ontology import DefectClass, Ontology, normalise_label

CLEAN_ID = "NO_DEFECT"
CLEAN_ALIASES = ("no defect", "ok", "good", "none")
LEVELS = ("minor", "major", "critical")


def choose_ontology(
    name: str, categories: Sequence[str], clean: Sequence[str], given: Ontology | None
) -> Ontology:
    """Returns the taxonomy that is given, or the one that the categories make.

    Args:
        name: of the data set.
        categories: names as the data set has them.
        clean: those that mean "no defect", whatever they are called.
        given: by the caller; knows its clean class itself.

    Raises:
        ImportDataError: `clean` names no category or comes with a taxonomy, or as `derive_ontology`.
    """
    if given is None:
        known = {normalise_label(category) for category in categories}
        if unknown := [word for word in clean if normalise_label(word) not in known]:
            there = ", ".join(sorted(set(categories)))
            raise ImportDataError(
                f"no category is called {', '.join(map(repr, unknown))}; there are: {there}"
            )
        return derive_ontology(name, categories, clean)
    if clean:
        raise ImportDataError(
            "an ontology names its clean class itself: write the clean categories into its aliases there"
        )
    return given


def derive_ontology(name: str, categories: Iterable[str], clean_words: Iterable[str] = ()) -> Ontology:
    """Makes a taxonomy: a class per category, all with the same severity levels, none safety-critical.

    A category whose name means "no defect" becomes the clean class. The class's id is the name in
    upper snake case, and the name itself its alias.

    Args:
        name: of the data set.
        categories: names as in the file.
        clean_words: further names that mean "no defect"; they become aliases of the clean class.

    Raises:
        ImportDataError: no category is a defect, or two have the same id.
    """
    aliases = tuple(dict.fromkeys((*CLEAN_ALIASES, *clean_words)))
    clean = {normalise_label(word) for word in (CLEAN_ID, *aliases)}
    defects = [category for category in dict.fromkeys(categories) if normalise_label(category) not in clean]
    if not defects:
        raise ImportDataError("no category is a defect: at least one besides 'no defect' is needed")
    ids = [re.sub(r"\W+", "_", category.strip()).strip("_").upper() for category in defects]
    if len({normalise_label(class_id) for class_id in ids}) < len(ids) or "" in ids:
        raise ImportDataError(f"categories with too similar names: {sorted(defects)}; give an ontology")
    clean_class = DefectClass(id=CLEAN_ID, label="No defect", clean=True, aliases=aliases)
    classes = (
        DefectClass(id=key, label=word.strip().capitalize(), aliases=(word,), severity_levels=LEVELS)
        for key, word in zip(ids, defects, strict=True)
    )
    # Other categories under the same name are another version.
    names = [*defects, *(f"\0{word}" for word in aliases[len(CLEAN_ALIASES) :])]
    content = hashlib.sha256("\n".join(names).encode()).hexdigest()
    return Ontology(ontology=name, version=f"1.0.0+{content[:8]}", classes=(clean_class, *classes))
