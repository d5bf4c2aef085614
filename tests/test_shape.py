"""The shape of alertlite.py: sections in order, what each may use, short functions, everything documented."""
from __future__ import annotations

import ast
import builtins
import io
import pathlib
import re
import tokenize
from typing import Iterable

import alertlite
import pytest

ROOT = pathlib.Path(alertlite.__file__).parent
SOURCE = (ROOT / "alertlite.py").read_text(encoding="utf-8")
TREE = ast.parse(SOURCE)
LINES = SOURCE.splitlines()

BANNER = re.compile(r"# =+ ([A-Z]+)$")
START = {match[1]: number for number, line in enumerate(LINES, 1) if (match := BANNER.match(line))}
SECTIONS = ["SETTINGS", "CLOCK", "PROBLEMS", "DOMAIN", "STORE", "SENDERS", "ENGINE", "HTTP", "ALERTA", "HEALTHCHECKS", "NOTIFY", "WALDUR",
            "INBOUND", "PAGE", "SERVICE", "THREADS", "MAIN"]

# Names that a section uses before they are defined, and why that is no tangle: (user, name) -> reason.
USED_BEFORE: dict[tuple[str, str], str] = {}

# Who asks the time, beside CLOCK: (function, what it calls) -> reason.
TIME_ELSEWHERE = {
    ("read", "time.monotonic"): "a reader's deadline, against a search that takes too long",
    ("connect_reader", "time.monotonic"): "the same",
}


def section_of(line: int) -> str:
    """The section that a line stands in; '' = above the first."""
    return next((name for name, start in reversed(START.items()) if start <= line), "")


def place(section: str) -> int:
    return list(START).index(section) if section else -1


def dotted(node: ast.AST) -> str:
    """a.b.c of an attribute of a name; '' for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{base}.{node.attr}" if (base := dotted(node.value)) else ""
    return ""


def functions() -> Iterable[ast.FunctionDef]:
    return (node for node in ast.walk(TREE) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def owner_of(line: int) -> str:
    """The innermost function around a line."""
    around = [node for node in functions() if node.lineno <= line <= node.end_lineno]
    return max(around, key=lambda node: node.lineno).name if around else ""


def bound_names(statement: ast.stmt) -> set[str]:
    """What a statement of the module defines."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


DEFINED: dict[str, int] = {}
for _statement in TREE.body:
    for _name in bound_names(_statement):
        DEFINED.setdefault(_name, _statement.lineno)


# --- sections

def test_the_sections_stand_in_their_order_each_under_one_banner() -> None:
    assert list(START) == [name for name in SECTIONS if name in START]
    assert len(START) >= 11 and len([line for line in LINES if BANNER.match(line)]) == len(START)
    assert {len(LINES[start - 1]) for start in START.values()} == {len(LINES[START["STORE"] - 1])}, "banners of one length"


def test_each_section_says_its_purpose_in_one_to_six_lines() -> None:
    for name, start in START.items():
        purpose = 0
        while LINES[start + purpose].startswith("# "):
            purpose += 1
        assert 1 <= purpose <= 6, name
        assert LINES[start - 3:start - 1] == ["", ""], f"two empty lines above {name}"


def test_the_docstring_maps_all_sections_in_order() -> None:
    mapped = re.findall(r"^    ([A-Z]{4,}) {2,}\S", ast.get_docstring(TREE, clean=False), re.M)
    assert mapped == list(START)


def test_a_section_uses_only_what_stands_above_it() -> None:
    wrong = []
    for statement in TREE.body:
        here = section_of(statement.lineno)
        user = next(iter(bound_names(statement)), "")
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in DEFINED:
                there = section_of(DEFINED[node.id])
                if place(there) > place(here) and (user, node.id) not in USED_BEFORE:
                    wrong.append(f"{here}: {user} uses {node.id} of {there} in line {node.lineno}")
    assert wrong == []


def test_every_name_that_is_used_is_defined_somewhere() -> None:
    local = {node.id for node in ast.walk(TREE) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    local |= {node.arg for node in ast.walk(TREE) if isinstance(node, ast.arg)} | {node.name for node in functions()}
    local |= {node.name for node in ast.walk(TREE) if isinstance(node, ast.ExceptHandler) and node.name}
    used = {node.id for node in ast.walk(TREE) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    assert used - local - set(DEFINED) - set(dir(builtins)) - {"__file__", "__name__"} == set()


def test_no_name_is_defined_twice() -> None:
    names = [statement.name for statement in TREE.body if isinstance(statement, (ast.FunctionDef, ast.ClassDef))]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_the_exceptions_are_still_needed() -> None:
    used = {(next(iter(bound_names(statement)), ""), node.id) for statement in TREE.body for node in ast.walk(statement)
            if isinstance(node, ast.Name)}
    calls = {(owner_of(node.lineno), dotted(node)) for node in ast.walk(TREE) if isinstance(node, ast.Attribute)}
    assert set(USED_BEFORE) <= used and set(TIME_ELSEWHERE) <= calls | {(name, call) for name, call in TIME_ELSEWHERE if call == ""}


# --- who may do what

SQL = re.compile(r"\s*(SELECT|INSERT (INTO|OR)|UPDATE \w+ SET|DELETE FROM|WITH \w+ AS|PRAGMA|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|VACUUM|CREATE|DROP|ALTER)\b")


def test_only_store_speaks_sql() -> None:
    wrong = []
    for node in ast.walk(TREE):
        if not isinstance(node, (ast.Attribute, ast.Constant)) or section_of(node.lineno) == "STORE":
            continue
        if isinstance(node, ast.Attribute) and (node.attr in ("execute", "executemany", "executescript") or dotted(node).startswith("sqlite3.")):
            if not (section_of(node.lineno) == "THREADS" and owner_of(node.lineno) == "execute"):
                wrong.append(f"line {node.lineno}: {ast.unparse(node)}")
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value):
            wrong.append(f"line {node.lineno}: {node.value[:60]!r}")
    assert wrong == []


def test_only_clock_asks_the_time() -> None:
    wrong = []
    for node in ast.walk(TREE):
        called = dotted(node) if isinstance(node, ast.Attribute) else ""
        if re.fullmatch(r"time\.(time|time_ns|monotonic|monotonic_ns|perf_counter|localtime|gmtime|clock_gettime\w*|strftime)"
                        r"|(datetime\.)?(datetime|date)\.(now|utcnow|today)", called) and section_of(node.lineno) != "CLOCK":
            if (owner_of(node.lineno), called) not in TIME_ELSEWHERE:
                wrong.append(f"line {node.lineno}: {called}")
    assert wrong == []
    assert not re.search(r"'now'|CURRENT_(TIME|DATE)|unixepoch\(|strftime\(", SOURCE.replace(".strftime(", "")), "SQL has no clock"


def test_the_libraries_of_the_web_are_unknown_above_http() -> None:
    wrong = [f"line {node.lineno}: {node.id}" for node in ast.walk(TREE)
             if isinstance(node, ast.Name) and node.id in ("bottle", "waitress") and node.lineno < START["HTTP"]]
    assert wrong == []


# --- functions

def code_lines(node: ast.AST) -> int:
    """Lines of code: without docstring, comments and empty lines."""
    docstring = node.body[0] if ast.get_docstring(node) is not None else None
    text = "\n".join(LINES[node.lineno - 1:node.end_lineno]) + "\n"
    used = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            used.update(range(token.start[0], token.end[0] + 1))
    if docstring:
        used -= set(range(docstring.lineno - node.lineno + 1, docstring.end_lineno - node.lineno + 2))
    return len(used)


def test_no_function_is_longer_than_40_lines_and_most_are_short() -> None:
    sizes = sorted((code_lines(node), node.name) for node in functions())
    assert [f"{name}: {size}" for size, name in sizes if size > 40] == []
    assert sizes[len(sizes) // 2][0] <= 8, "the middle one"


def test_every_public_function_over_12_lines_has_a_docstring() -> None:
    top = [node for node in TREE.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    public = [node for node in top if isinstance(node, ast.FunctionDef)]
    public += [node for found in top if isinstance(found, ast.ClassDef) for node in found.body if isinstance(node, ast.FunctionDef)]
    assert len(public) > 200
    assert [f"{node.name}: {code_lines(node)}" for node in public
            if not node.name.startswith("_") and code_lines(node) > 12 and not ast.get_docstring(node)] == []


def test_lines_are_at_most_140_characters() -> None:
    assert [number for number, line in enumerate(LINES, 1) if len(line) > 140 or line != line.rstrip()] == []


def test_every_class_says_what_it_is() -> None:
    assert [node.name for node in TREE.body if isinstance(node, ast.ClassDef) and not ast.get_docstring(node)
            and len(node.body) > 1 and code_lines(node) > 8] == []


# --- documented

@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_setting_is_explained() -> None:
    assert [setting.name for setting in alertlite.SETTINGS if len(setting.help.split()) < 2] == []
    assert len({setting.name for setting in alertlite.SETTINGS}) == len(alertlite.SETTINGS)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", setting.name) for setting in alertlite.SETTINGS)


def test_the_readme_names_every_setting(readme: str) -> None:
    missing = [setting.name for setting in alertlite.SETTINGS
               if not re.search(rf"(ALERTLITE_{setting.name.upper()}|--{setting.name.replace('_', '-')}|`{setting.name}`)(?![\w-])", readme)]
    assert missing == []


def test_the_readme_names_every_route(readme: str) -> None:
    known = re.sub(r"<[^<>\s]+>|\{[^{}\s]+\}|(?<=/):\w+", "<>", readme)
    missing = [entry.path for entry in alertlite.ROUTES
               if not re.search(re.escape(re.sub(r"<[^<>]+>", "<>", entry.path)) + r"(?![\w<>/-])", known)]
    assert missing == []


def test_every_route_is_a_documented_shape() -> None:
    for entry in alertlite.ROUTES:
        assert entry.path.startswith("/") and set(entry.methods) <= {"GET", "POST", "PUT", "PATCH", "DELETE"}, entry
        assert entry.scope in (None, alertlite.ANYBODY, *alertlite.SCOPES), f"{entry.path}: {entry.scope}"
    pairs = [(method, entry.path) for entry in alertlite.ROUTES for method in entry.methods]
    assert sorted({pair for pair in pairs if pairs.count(pair) > 1}) == [], "one function a route"
