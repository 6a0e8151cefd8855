"""A taxonomy for a data set that brings only names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from inspection.errors import ImportDataError
from inspection.ontology import DefectClass, Ontology, normalise_label

CLEAN_ID = "NO_DEFECT"
CLEAN_ALIASES = ("no defect", "ok", "good", "none")
LEVELS = ("minor", "major", "critical")


def derive_ontology(name: str, categories: Iterable[str]) -> Ontology:
    """Makes a taxonomy: a class per category, all with the same severity levels, none safety-critical.

    A category whose name means "no defect" becomes the clean class. The class's id is the name in
    upper snake case, and the name itself its alias.

    Args:
        name: of the data set.
        categories: names as in the file.

    Raises:
        ImportDataError: no category is a defect, or two have the same id.
    """
    clean = {normalise_label(word) for word in (CLEAN_ID, *CLEAN_ALIASES)}
    defects = [category for category in dict.fromkeys(categories) if normalise_label(category) not in clean]
    if not defects:
        raise ImportDataError("no category is a defect: at least one besides 'no defect' is needed")
    ids = [re.sub(r"\W+", "_", category.strip()).strip("_").upper() for category in defects]
    if len({normalise_label(class_id) for class_id in ids}) < len(ids) or "" in ids:
        raise ImportDataError(f"categories with too similar names: {sorted(defects)}; give an ontology")
    clean_class = DefectClass(id=CLEAN_ID, label="No defect", clean=True, aliases=CLEAN_ALIASES)
    classes = (
        DefectClass(id=key, label=word.strip().capitalize(), aliases=(word,), severity_levels=LEVELS)
        for key, word in zip(ids, defects, strict=True)
    )
    # Other categories under the same name are another version.
    content = hashlib.sha256("\n".join(defects).encode()).hexdigest()
    return Ontology(ontology=name, version=f"1.0.0+{content[:8]}", classes=(clean_class, *classes))
