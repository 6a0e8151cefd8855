"""The taxonomy is data: no class of the default ontology stands in Python or SQL logic."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

from inspection.ontology import DEFAULT_ONTOLOGY, load_ontology
from tests.house.repository import files, is_test, source, tree

# The simulator's plant has these very classes. For a data set that brings only names, the importer has to
# invent a clean class: its id, by the way of the default ontology.
EXEMPT = (Path("inspection/simulation"), Path("inspection/importers/taxonomy.py"))

COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}", re.DOTALL)


def forbidden() -> re.Pattern[str]:
    """Returns what finds a class: its id as written, and a defect's aliases however they are written.

    The clean class's aliases are ordinary words (ok, good) and are left out.
    """
    ontology = load_ontology(DEFAULT_ONTOLOGY)
    ids = {c.id for c in ontology.classes} | {c.parent for c in ontology.classes if c.parent}
    aliases = {alias for c in ontology.defect_classes for alias in c.aliases}
    # An underscore parts words: crack_recall names a class.
    whole = r"(?<![A-Za-z])(?:{})(?![A-Za-z])"
    exact = whole.format("|".join(sorted(map(re.escape, ids))))
    loose = whole.format("|".join(sorted(re.sub(r"[ _]", "[ _-]?", alias) for alias in aliases)))
    return re.compile(f"{exact}|(?i:{loose})")


def docstrings(module: ast.Module) -> set[int]:
    """Returns the first lines of the strings that stand alone: documentation, not logic."""
    return {
        node.lineno
        for node in ast.walk(module)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def python_logic(path: Path) -> list[tuple[int, str]]:
    """Returns line and text of each name and string of a Python file, without comments and docstrings."""
    documentation = docstrings(tree(path))
    tokens = tokenize.generate_tokens(io.StringIO(source(path)).readline)
    return [
        (token.start[0], token.string)
        for token in tokens
        if token.type != tokenize.COMMENT
        and not (token.type == tokenize.STRING and token.start[0] in documentation)
    ]


def sql_logic(path: Path) -> list[tuple[int, str]]:
    """Returns the lines of a SQL file, with blanks for the comments."""
    text = COMMENT.sub(lambda comment: re.sub(r"[^\n]", " ", comment.group()), source(path))
    return list(enumerate(text.splitlines(), start=1))


def test_no_class_name_in_logic() -> None:
    pattern, found = forbidden(), []
    for path in files("*.py", "*.sql"):
        if is_test(path) or any(path.is_relative_to(exempt) for exempt in EXEMPT):
            continue
        logic = python_logic(path) if path.suffix == ".py" else sql_logic(path)
        found += [f"{path}:{line}: {match[0]}" for line, text in logic for match in pattern.finditer(text)]
    assert not found, "take classes from the ontology (inspection/ontology.py, dim_defect_class): " + str(
        found
    )


def test_the_rule_sees_names_strings_and_underscores_but_not_parts_of_words() -> None:
    pattern = forbidden()
    for text in ("CRACK", "'BURR'", "crack_recall", "label = 'Edge-Burr'", "SURFACE_DEFECT", "pitting"):
        assert pattern.search(text), text
    for text in ("cracked", "description", "ok", "pitch", "burrow", "surface_defects"):
        assert not pattern.search(text), text


def test_the_rule_leaves_comments_out(tmp_path: Path) -> None:
    python = tmp_path / "a.py"
    python.write_text('"""A CRACK."""\nx = 1  # a burr\ny = "BURR"\n', encoding="utf-8")
    sql = tmp_path / "a.sql"
    sql.write_text("select 1 -- CRACK\n/* a\nburr */ where x = 'PIT'\n{# scratch #}\n", encoding="utf-8")
    hits = [(line, text) for line, text in python_logic(python) if forbidden().search(text)]
    assert hits == [(3, '"BURR"')]
    assert [line for line, text in sql_logic(sql) if forbidden().search(text)] == [3]
