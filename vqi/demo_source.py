"""What the demo runs on: a simulated plant, or a labelled data set."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from inspection.importers.importing import ImportOptions
from inspection.importers.labelled import FORMATS
from vqi.filling import DIFFICULTY, IMAGES
from vqi.origin import SIMULATED


@dataclass(frozen=True)
class DemoSource:
    """What fills the plant.

    Attributes:
        text: as the person wrote it.
        images: that a simulated plant has.
        difficulty: of a simulated plant.
        format_name: of a labelled data set; None for a simulated plant.
        folder: of the data set.
        options: what the person says of it.
        ontology: taxonomy file of its categories.
    """

    text: str
    images: int = IMAGES
    difficulty: str = DIFFICULTY
    format_name: str | None = None
    folder: Path = Path()
    options: ImportOptions = field(default_factory=ImportOptions)
    ontology: Path | None = None

    @classmethod
    def parse(
        cls,
        text: str,
        options: ImportOptions,
        ontology: Path | None = None,
        images: int = IMAGES,
        difficulty: str = DIFFICULTY,
    ) -> DemoSource:
        """Reads ``simulated``, or the name of a format, ``:`` and a folder.

        Raises:
            ValueError: it is neither, or a simulated plant is to have options of a data set.
        """
        if text == SIMULATED:
            if options != ImportOptions() or ontology is not None:
                raise ValueError("these options are for labelled images: name them by --source")
            return cls(text, images, difficulty)
        format_name, _, folder = text.partition(":")
        if format_name not in FORMATS or not folder:
            wanted = ", ".join(f"{name}:DIR" for name in FORMATS)
            raise ValueError(f"--source wants {SIMULATED}, or one of {wanted}, not {text!r}")
        if difficulty != DIFFICULTY:
            raise ValueError("--difficulty is for the simulated plant: images that exist are as they are")
        return cls(text, images, difficulty, format_name, Path(folder), options, ontology)
