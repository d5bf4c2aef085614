"""The shape of alertlite.py: sections in order, what each may use, short functions, everything documented."""
from __future__ import annotations

import ast
import dis
import io
import pathlib
import re
import tokenize
from collections.abc import Iterator
from types import CodeType

import pytest

import alertlite

ROOT = pathlib.Path(alertlite.__file__).parent
SOURCE = (ROOT / "alertlite.py").read_text(encoding="utf-8")
TREE = ast.parse(SOURCE)
LINES = SOURCE.splitlines()

BANNER = re.compile(r"# =+ ([A-Z]+)$")
START = {match[1]: number for number, line in enumerate(LINES, 1) if (match := BANNER.match(line))}
SECTIONS = ["SETTINGS", "CLOCK", "PROBLEMS", "DOMAIN", "STORE", "SENDERS", "ENGINE", "HTTP", "ALERTA", "HEALTHCHECKS", "NOTIFY", "WALDUR",
            "INBOUND", "PAGE", "SERVICE", "THREADS", "MAIN"]

# What a function uses of a section below its own, and why that is no tangle: (function, name) -> reason.
USED_BEFORE: dict[tuple[str, str], str] = {}

# Who asks the time, beside CLOCK: (function, what it asks) -> reason.
TIME_ELSEWHERE = {
    ("run_server", "time.monotonic"): "how long a stopping server waits for its answers to go out",
    ("close", "time.monotonic"): "how long a stopping server waits for what is being written",
    ("problem", "time.monotonic"): "how long nobody has looked at the sockets",
    ("__init__", "time.monotonic"): "how long a connection keeps us waiting",
    ("close_overdue", "time.monotonic"): "how long a connection keeps us waiting",
    ("received", "time.monotonic"): "how long a connection keeps us waiting",
    ("_flush_some", "time.monotonic"): "how long a connection keeps us waiting",
    ("choose_rows", "time.monotonic"): "a deadline, against a search that takes too long",
    ("in_time", "time.monotonic"): "a deadline, against a search that takes too long",
    ("read", "time.monotonic"): "a reader's deadline, against a search that takes too long",
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


FUNCTIONS = [node for node in ast.walk(TREE) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def owner_of(line: int) -> str:
    """The innermost function around a line."""
    around = [node for node in FUNCTIONS if node.lineno <= line <= node.end_lineno]
    return max(around, key=lambda node: node.lineno).name if around else ""


def bound_names(statement: ast.stmt) -> set[str]:
    """What a statement of the module defines."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", ast.Pass())]
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}


def globals_used(code: CodeType) -> Iterator[tuple[int, str]]:
    """(line, name) of every use of a global name; a local one that hides it does not count, nor does an annotation."""
    lines, line = dict(dis.findlinestarts(code)), code.co_firstlineno
    for step in dis.get_instructions(code):
        line = lines.get(step.offset) or line
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield line, step.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from globals_used(constant)


USED = sorted(set(globals_used(compile(SOURCE, "alertlite.py", "exec"))))
ATTRIBUTES = [(node.lineno, name, node.attr) for node in ast.walk(TREE) if isinstance(node, ast.Attribute) for name in [dotted(node)]]
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
    for line, name in USED:
        here, there = section_of(line), section_of(DEFINED.get(name, 0))
        if place(there) > place(here) and (owner_of(line), name) not in USED_BEFORE:
            wrong.append(f"line {line}, {here}: {owner_of(line)} uses {name} of {there}")
    assert wrong == []


def test_no_name_is_defined_twice() -> None:
    names = [statement.name for statement in TREE.body if isinstance(statement, (ast.FunctionDef, ast.ClassDef))]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_the_exceptions_are_still_needed() -> None:
    assert set(USED_BEFORE) <= {(owner_of(line), name) for line, name in USED if place(section_of(DEFINED.get(name, 0))) >= 0}
    assert set(TIME_ELSEWHERE) <= {(owner_of(line), name) for line, name, _ in ATTRIBUTES if name.startswith("time.")}


# --- who may do what

SQL = re.compile(r"\s*(SELECT|INSERT (INTO|OR)|UPDATE \w+ SET|DELETE FROM|WITH \w+ AS|PRAGMA|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|VACUUM"
                 r"|CREATE|DROP|ALTER)\b")


def test_only_store_speaks_sql() -> None:
    wrong = [f"line {line}: {name or attribute}" for line, name, attribute in ATTRIBUTES if section_of(line) != "STORE"
             and (attribute in ("execute", "executemany", "executescript") or name.startswith("sqlite3."))]
    wrong += [f"line {node.lineno}: {node.value[:60]!r}" for node in ast.walk(TREE) if isinstance(node, ast.Constant)
              and isinstance(node.value, str) and SQL.match(node.value) and section_of(node.lineno) != "STORE"]
    assert wrong == []


def test_only_clock_asks_the_time() -> None:
    asks = re.compile(r"time\.(time|time_ns|monotonic|monotonic_ns|perf_counter|localtime|gmtime|clock_gettime\w*)"
                      r"|(datetime\.)?(datetime|date)\.(now|utcnow|today)")
    asked = [(line, owner_of(line), name) for line, name, _ in ATTRIBUTES if asks.fullmatch(name) and section_of(line) != "CLOCK"]
    assert [found for found in asked if found[1:] not in TIME_ELSEWHERE] == []
    in_sql = re.compile(r"\b(CURRENT_(TIME|DATE|TIMESTAMP)|unixepoch|julianday|strftime)\b|'now'", re.I)
    assert in_sql.findall((ROOT / "schema.sql").read_text(encoding="utf-8")) == [], "SQL has no clock"
    assert [node.lineno for node in ast.walk(TREE) if isinstance(node, ast.Constant) and isinstance(node.value, str)
            and section_of(node.lineno) == "STORE" and in_sql.search(node.value)] == []


def test_the_libraries_of_the_web_are_unknown_above_http() -> None:
    wrong = [f"line {line}: {name}" for line, name in USED if name in ("bottle", "waitress") and place(section_of(line)) < place("HTTP")]
    assert wrong == []


# --- functions

CODE: set[int] = set()                               # lines that are neither empty nor only a comment
for _token in tokenize.generate_tokens(io.StringIO(SOURCE).readline):
    if _token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
        CODE.update(range(_token.start[0], _token.end[0] + 1))


def code_lines(node: ast.AST) -> int:
    """Lines of code, without the docstring."""
    docstring = range(node.body[0].lineno, node.body[0].end_lineno + 1) if ast.get_docstring(node, clean=False) is not None else ()
    return len(CODE.intersection(range(node.lineno, node.end_lineno + 1)).difference(docstring))


def test_no_function_is_longer_than_40_lines_and_most_are_short() -> None:
    sizes = sorted((code_lines(node), node.name) for node in FUNCTIONS)
    assert [f"{name}: {size}" for size, name in sizes if size > 40] == []
    assert sizes[len(sizes) // 2][0] <= 8, "the middle one"


def test_every_public_function_over_12_lines_has_a_docstring() -> None:
    top = [node for node in TREE.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    public = [node for node in top if isinstance(node, ast.FunctionDef)]
    public += [node for found in top if isinstance(found, ast.ClassDef) for node in found.body if isinstance(node, ast.FunctionDef)]
    assert len(public) > 200
    assert [f"{node.name}: {code_lines(node)}" for node in public
            if not node.name.startswith("_") and code_lines(node) > 12 and not ast.get_docstring(node)] == []


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
    def is_named(name: str) -> bool:
        return bool(re.search(rf"(ALERTLITE_{name.upper()}|--{name.replace('_', '-')}|`{name}`)(?![\w-])", readme))

    assert [setting.name for setting in alertlite.SETTINGS if not is_named(setting.name)] == []


def test_the_readme_names_every_route(readme: str) -> None:
    known = re.sub(r"<[^<>\s]+>|\{[^{}\s]+\}|(?<=/):\w+", "<>", readme)
    paths = {re.sub(r"<[^<>]+>", "<>", entry.path).rstrip("/") for entry in alertlite.ROUTES}       # a slash at the end is no other route
    assert sorted(path for path in paths if not re.search(re.escape(path) + r"/?(?![\w<>/-])", known)) == []


def test_every_route_is_a_documented_shape() -> None:
    for entry in alertlite.ROUTES:
        methods = {"ANY"} if entry.path.startswith("/ping/") else {"GET", "POST", "PUT", "PATCH", "DELETE"}     # a ping may come as it likes
        assert entry.path.startswith("/") and entry.methods and set(entry.methods) <= methods, entry
        assert entry.scope in (None, alertlite.ANYBODY, *alertlite.SCOPES), f"{entry.path}: {entry.scope}"
    pairs = [(method, entry.path) for entry in alertlite.ROUTES for method in entry.methods]
    assert sorted({pair for pair in pairs if pairs.count(pair) > 1}) == [], "one function a route"
