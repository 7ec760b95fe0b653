"""Every word that the dashboard says comes from the catalogue, and every word there is said somewhere."""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from skin_lesion.texts import catalogue

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted((ROOT / "app").rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
KEYS = catalogue("en")
AREAS = {key.split(".")[0] for key in KEYS}

# Calls of Streamlit whose positional texts nobody reads.
SILENT = {
    "html", "container", "columns", "set_page_config", "get_option", "fragment", "cache_resource",
    "cache_data", "switch_page", "login", "component", "spinner_icon", "Page", "App",
}  # fmt: skip
# Arguments that a user reads, of any call of Streamlit.
READ = {
    "label", "body", "help", "placeholder", "text", "title", "caption", "alt", "page_title",
    "description", "file_name",
}  # fmt: skip
LETTERS = re.compile(r"[^\W\d_]{2,}")


def streamlit_calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            root: ast.expr = node.func
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id == "st":
                yield node.func.attr, node


def words(node: ast.expr) -> str:
    """The letters of a literal, and of the literal parts of an f-string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return " ".join(words(part) for part in node.values)
    return ""


def pattern(node: ast.expr) -> str | None:
    """A regular expression of the keys that an expression may name; None where it is no key."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(pattern(part) or r"[^.]+" for part in node.values)
    return None


def looks_like_a_key(text: str) -> bool:
    return text.partition("\\.")[0] in AREAS and "\\." in text


def states(tree: ast.Module) -> set[int]:
    """Literals that name places in the session's state: constants of a module, private to it."""
    return {
        id(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and re.fullmatch(r"_[A-Z_]+", node.targets[0].id)
    }


def named() -> Iterator[tuple[Path, int, str]]:
    """Every expression of the app that names keys."""
    for path, tree in TREES.items():
        parts = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
            for part in node.values
        }
        parts |= states(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in parts:
                found = pattern(node)
                if found is not None and looks_like_a_key(found):
                    yield path, node.lineno, found


def lookups() -> Iterator[tuple[Path, ast.Call, str]]:
    """Every call that looks a text up by a literal key: `texts("…")`, `desk.texts("…")`."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            func = node.func
            name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
            found = pattern(node.args[0])
            if name == "texts" and found is not None:
                yield path, node, found


def matching(expression: str) -> list[str]:
    whole = re.compile(expression)
    return [key for key in KEYS if whole.fullmatch(key)]


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_no_call_of_streamlit_has_words_of_its_own() -> None:
    spoken = []
    for path, tree in TREES.items():
        for name, call in streamlit_calls(tree):
            read = [] if name in SILENT else call.args[:1]
            read += [each.value for each in call.keywords if each.arg in READ]
            spoken += [
                f"{where(path, call.lineno)} st.{name}: {words(node)}"
                for node in read
                if LETTERS.search(words(node)) and not is_hidden(words(node))
            ]
    assert not spoken


def is_hidden(text: str) -> bool:
    """What is markup or no word at all, such as the name of an icon or of a file's kind."""
    return text.lstrip().startswith("<") or bool(
        re.fullmatch(r"[\s.:]*(html|pdf|csv|jsonl?)[\s.]*", text)
    )


def test_html_of_ours_says_nothing_of_its_own() -> None:
    """Between tags, and in what is read out, stand values alone."""
    spoken = []
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.JoinedStr):
                continue
            text = "".join(
                part.value if isinstance(part, ast.Constant) else "\0" for part in node.values
            )
            if "<" not in text or "</" not in text or "<style" in text or "<script" in text:
                continue
            outside = re.sub(r"<[^>]*>", "\n", text)
            read_out = re.findall(r'(?:alt|title|aria-label|placeholder)="([^"\0]*)"', text)
            spoken += [
                f"{where(path, node.lineno)}: {part.strip()}"
                for part in [*outside.split("\n"), *read_out]
                if LETTERS.search(part.replace("\0", ""))
            ]
    assert not spoken


def test_every_key_that_is_looked_up_is_there() -> None:
    lost = [where(path, line) + f" {key}" for path, line, key in named() if not_there(key)]
    assert not lost


def not_there(expression: str) -> bool:
    # A list or a group of texts is named by what its keys begin with.
    return not matching(expression) and not matching(expression + r"\..+")


def test_every_text_is_given_exactly_the_values_it_wants() -> None:
    wrong = []
    for path, call, expression in lookups():
        if any(each.arg is None for each in call.keywords):
            continue  # `**values`: the test of the page sees to it
        given = {each.arg for each in call.keywords}
        wanted = [placeholders(KEYS[key]) for key in matching(expression)]
        # Which of its keys an f-string means is not to be known here, and it may give to all of them.
        several = "[^.]+" in expression
        if wanted and not any(one <= given if several else one == given for one in wanted):
            line = where(path, call.lineno)
            wrong.append(f"{line} {expression}: wants {wanted}, is given {given}")
    assert not wrong


def test_every_text_of_the_catalogue_is_said_somewhere() -> None:
    said: set[str] = set()
    for _, _, expression in named():
        said.update(matching(expression))
        if not matching(expression):  # a list, which is asked for as a whole
            said.update(matching(expression + r"\.\d+"))
        if "[^.]+" in expression:  # a group, to whose name more is added
            said.update(matching(expression + r"\.[^.]+"))
    assert sorted(set(KEYS) - said) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('st.button("Read it")', 1), ('st.button(texts("a.b"), key="read_it")', 0),
        ('st.caption(f"Version {version}")', 1), ('st.html(f"<b>{name}</b>")', 0),
        ('st.x.markdown(body="Hello")', 1),
    ],
)  # fmt: skip
def test_the_test_would_notice(code: str, found: int) -> None:
    spoken = [
        node
        for name, call in streamlit_calls(ast.parse(code))
        for node in [
            *([] if name in SILENT else call.args[:1]),
            *(k.value for k in call.keywords if k.arg in READ),
        ]
        if LETTERS.search(words(node))
    ]
    assert len(spoken) == found
