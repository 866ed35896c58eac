"""The shape of the code, as tests: who may import whom, what stays in its one home, and how large a thing may grow.

Each rule is a function over (path, source) that returns its complaints; a cycle alone needs all files at once. `test_the_code_obeys` runs them over
the files of this checkout, and `test_each_rule_sees_what_it_forbids` gives each a small bad example, because a rule that cannot fail is none.
It reads the code as text and imports nothing of it. Imports below `if TYPE_CHECKING` count for nothing; those inside functions count.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

# The floors of docs/architecture.md, the lowest first. A module imports floors below it, and on its own floor only what stands to its left.
# A new module must be placed here; a package (process, store, stats, api, web) is one entry, and free inside.
FLOORS = (
    ("errors", "clock", "job", "events", "meanings", "words"),
    (
        "remedies",
        "environment",
        "misspelt",
        "addresses",
        "signature",
        "config",
        "logfile",
        "log",
        "history",
        "pointers",
        "submission",
        "catalog",
        "programs",
        "process",
        "store",
    ),
    ("secrets", "output", "reports", "feed", "watchers", "admission"),
    ("runner", "recovery", "cluster", "stats"),
    ("running", "slots", "attempts", "manager", "upkeep", "overdue", "webhooks"),
    ("api", "web", "client", "doctor"),
    ("cli", "__main__"),
)

# What stays in one home: a module, or an attribute of one, and the only places below jobmgr/ that may name it.
# `environment` reads what a person set; `process` hands a job the part of the server's environment that is the job's to see.
HOMES = {
    "numpy": ("stats",),
    "scipy": ("stats",),
    "sqlite3": ("store",),
    "asyncpg": ("store",),
    "aiohttp": ("api", "client", "webhooks"),
    "aiohttp.web": ("api",),
    "socketio": ("api",),
    "engineio": ("api",),
    "os.environ": ("environment", "process"),
    "os.environb": ("environment", "process"),
    "os.getenv": ("environment", "process"),
    "os.putenv": ("environment", "process"),
}
UNKNOWN_TO = {"process": ("job", "events")}  # process/ knows argv, files and signals; it knows no Job

# The pure heart imports the standard library and only this besides. (What the keeper may import: `find_keepers_baggage`.)
STANDARD_LIBRARY_AND = {
    "errors": ("jobmgr",),
    "clock": ("jobmgr", "psutil"),  # psutil knows the time of boot where the kernel has no boot id
    "job": ("jobmgr",),
    "events": ("jobmgr",),
    "meanings": ("jobmgr",),
    "words": ("jobmgr",),
}
KEEPER = "process.keeper"
LAZY = ("numpy", "scipy")  # so slow to import that only a function may do it

FILE_LINES = 400
FUNCTION_LINES = 60
PUBLIC_METHODS = 15
PUBLIC_METHODS_OF_A_STORE = 25
NAMELESS = {"utils", "util", "helpers", "helper", "common", "core", "base", "misc"}

SQL = re.compile(
    r"\s*(SELECT\s.*\bFROM\b|SELECT\s+\w+\(|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\b|DELETE\s+FROM\s|(CREATE|DROP|ALTER)\s+(UNIQUE\s+)?"
    r"(TABLE|INDEX|VIEW|TRIGGER)\b|PRAGMA\s+\w|BEGIN\s+(IMMEDIATE|EXCLUSIVE)|SAVEPOINT\s+\w|WITH\s+\w+\s.*\bAS\s*\()",
    re.DOTALL,
)
SUPPRESSION = re.compile(
    r"#\s*(?:(type:\s*ignore)(\[[^\]]+\])?|((?:ruff:\s*)?noqa)(:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?)(.*)"
)

ROOT = Path(__file__).parents[1]
FOLDERS = ("jobmgr", "scripts", "bench", "documents", "tests")

Rule = Callable[[str, str], list[str]]


# --- reading the code


def module_name(path: str) -> str:
    """Name the module of a path below jobmgr/: `jobmgr/store/sqlite.py` is `store.sqlite`, the package itself is the empty name."""
    parts = Path(path).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts and parts[-1] == "__init__" else parts)


def without_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree and leave out what only type checkers see."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            waiting.extend(node.orelse)
        else:
            waiting.extend(ast.iter_child_nodes(node))


def imports(path: str, source: str) -> Iterator[tuple[int, str]]:
    """List what a file imports, with line and full dotted name; relative imports resolved, `from a import b` as `a.b`."""
    package = list(Path(path).parent.parts)
    for node in without_type_checking(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*start, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def own_imports(path: str, source: str) -> Iterator[tuple[int, str]]:
    """List what a file imports of jobmgr itself, as names below it."""
    return (
        (line, name.partition(".")[2]) for line, name in imports(path, source) if name.partition(".")[0] == "jobmgr"
    )


def entry(module: str) -> str:
    """Name the entry of FLOORS that a module belongs to."""
    return module.partition(".")[0]


def place(module: str) -> tuple[int, int] | None:
    """Find floor and position of a module; None when it was never placed."""
    found = [(height, floor.index(entry(module))) for height, floor in enumerate(FLOORS) if entry(module) in floor]
    return found[0] if found else None


def in_jobmgr(path: str) -> bool:
    """Tell the product from its scripts and tests."""
    return path.startswith("jobmgr/")


# --- the rules


def is_placed(path: str, _source: str) -> list[str]:
    """Every module has a place in FLOORS."""
    module = module_name(path)
    return [f"{path}: not in FLOORS; give it a place"] if in_jobmgr(path) and module and place(module) is None else []


def imports_downwards(path: str, source: str) -> list[str]:
    """A module imports lower floors, on its own floor what stands to its left, in its own package anything."""
    module, problems = module_name(path), []
    here = place(module) or (len(FLOORS), 0)
    for line, name in own_imports(path, source) if in_jobmgr(path) else ():
        there = place(name)
        if module == "" or (there is not None and entry(name) != entry(module) and there >= here):
            problems.append(f"{path}:{line}: imports jobmgr.{name}, which is not below it")
    return problems


def knows_only_its_own(path: str, source: str) -> list[str]:
    """Packages that must not know certain modules do not import them."""
    unknown = UNKNOWN_TO.get(entry(module_name(path)), ()) if in_jobmgr(path) else ()
    return [
        f"{path}:{line}: must not know jobmgr.{name}"
        for line, name in own_imports(path, source)
        if entry(name) in unknown
    ]


def uses_standard_library_only(path: str, source: str) -> list[str]:
    """Floor 0 imports the standard library and floor 0."""
    module = module_name(path)
    if not in_jobmgr(path) or module not in STANDARD_LIBRARY_AND:
        return []
    allowed = {*sys.stdlib_module_names, *STANDARD_LIBRARY_AND[module]}
    return [f"{path}:{line}: imports {name}" for line, name in imports(path, source) if entry(name) not in allowed]


def stays_home(path: str, source: str) -> list[str]:
    """What has one home in HOMES is named nowhere else."""
    if not in_jobmgr(path):
        return []
    named = list(imports(path, source))
    named += [
        (node.lineno, ast.unparse(node)) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)
    ]
    away = {thing for thing, homes in HOMES.items() if entry(module_name(path)) not in homes}
    return [
        f"{path}:{line}: {name} has its home elsewhere"
        for line, name in named
        if any(f"{name}.".startswith(f"{thing}.") for thing in away)
    ]


def imports_lazily(path: str, source: str) -> list[str]:
    """What is slow to import is imported inside the function that needs it."""
    tree = ast.parse(source)
    inside = {
        id(node)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(outer)
    }
    outside = [
        node
        for node in without_type_checking(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in inside
    ]
    names = [(node.lineno, name) for node in outside for _, name in imports(path, ast.unparse(node))]
    return [
        f"{path}:{line}: imports {name} before anyone needs it"
        for line, name in names
        if in_jobmgr(path) and entry(name) in LAZY
    ]


def keeps_sql_in_the_store(path: str, source: str) -> list[str]:
    """Only store/ contains SQL; docstrings may speak of it."""
    if not in_jobmgr(path) or entry(module_name(path)) == "store":
        return []
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
    ]
    return [f"{path}:{text.lineno}: SQL outside store/" for text in texts if SQL.match(str(text.value))]


def stays_small(path: str, source: str) -> list[str]:
    """Files, functions and classes keep to their budget (in the code, not in its tests)."""
    if path.startswith("tests/"):
        return []
    length = len(source.splitlines())
    problems = [f"{path}: {length} lines; split it by responsibility"] if length > FILE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            problems += [f"{path}:{node.lineno}: {node.name} has {length} lines"] if length > FUNCTION_LINES else []
        elif isinstance(node, ast.ClassDef):
            limit = PUBLIC_METHODS_OF_A_STORE if entry(module_name(path)) == "store" else PUBLIC_METHODS
            count = len(public_methods(node))
            problems += [f"{path}:{node.lineno}: {node.name} has {count} public methods"] if count > limit else []
    return problems


def public_methods(node: ast.ClassDef) -> set[str]:
    """Name the public methods of a class; properties are values, not methods."""
    functions = [child for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {
        function.name
        for function in functions
        if not function.name.startswith("_")
        and not any("property" in ast.unparse(mark) for mark in function.decorator_list)
    }


def gives_reasons(path: str, source: str) -> list[str]:
    """Whoever silences a checker names the code and says why beside it."""
    problems = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        found = SUPPRESSION.search(token.string) if token.type == tokenize.COMMENT else None
        if found and not ((found[2] or found[4]) and len(re.findall(r"\w+", found[5])) > 1):
            problems.append(f"{path}:{token.start[0]}: {found[1] or found[3]} without code or reason")
    return problems


def has_a_name(path: str, _source: str) -> list[str]:
    """No file or folder has a name that says nothing; store/base.py is the one exception."""
    said = {Path(part).stem for part in Path(path).parts} & NAMELESS
    return [f"{path}: name it after what is in it"] if said and path != "jobmgr/store/base.py" else []


def find_modules(path: str, source: str, modules: Mapping[str, str]) -> set[str]:
    """Find the modules of jobmgr, among these, that a file imports: `store.sqlite.open_store` is a name in `store.sqlite`."""
    named = {name for _, name in own_imports(path, source)}
    return {name if name in modules else name.rpartition(".")[0] for name in named} & modules.keys()


def find_cycle(sources: Mapping[str, str]) -> list[str]:
    """Find modules of jobmgr that import each other in a circle."""
    modules = {module_name(path): path for path in sources if in_jobmgr(path)}
    graph = {module: find_modules(path, sources[path], modules) - {module} for module, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" -> ".join(error.args[1])]
    return []


def find_keepers_baggage(sources: Mapping[str, str]) -> list[str]:
    """Find what the keeper imports, itself or through others, besides the standard library and modules of process/ that do the same.

    It is started with `python -I -S`, where nothing else can be imported, and outlives the server: what it carries it carries for long.
    """
    modules = {module_name(path): path for path in sources if in_jobmgr(path)}
    waiting, seen, problems = [KEEPER], set[str](), list[str]()
    while waiting:
        module = waiting.pop()
        if module not in modules or module in seen:
            continue
        seen.add(module)
        path = modules[module]
        foreign = [
            name for _, name in imports(path, sources[path]) if entry(name) not in {*sys.stdlib_module_names, "jobmgr"}
        ]
        reached = find_modules(path, sources[path], modules)
        foreign += [f"jobmgr.{name}" for name in reached if name and entry(name) != "process"]
        problems += [f"{path}: imports {name}, and the keeper imports it" for name in foreign]
        waiting += [*reached, module.rpartition(".")[0]]  # importing a module runs the __init__ of its package first
    return problems


RULES: tuple[Rule, ...] = (
    is_placed,
    imports_downwards,
    knows_only_its_own,
    uses_standard_library_only,
    stays_home,
    imports_lazily,
    keeps_sql_in_the_store,
    stays_small,
    gives_reasons,
    has_a_name,
)


# --- the code obeys


def read_sources() -> dict[str, str]:
    """Read every Python file of the checkout that is ours, by its path."""
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    return {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_code_obeys(rule: Rule) -> None:
    """No file of the checkout breaks this rule."""
    sources = read_sources()
    assert "jobmgr/__init__.py" in sources
    assert [problem for path, source in sources.items() for problem in rule(path, source)] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """The imports inside jobmgr form no cycle."""
    assert find_cycle(read_sources()) == []


def test_the_keeper_needs_nothing_but_python() -> None:
    """The keeper and all that it imports get along with the standard library."""
    assert find_keepers_baggage(read_sources()) == []


# --- the rules see


def methods(count: int) -> str:
    """Write a class with this many public methods, and a private one and a property that do not count."""
    return (
        "class C:\n"
        + "".join(f"    def m{n}(self): ...\n" for n in range(count))
        + "    def _p(self): ...\n    @property\n    def v(self): ...\n"
    )


BAD: tuple[tuple[Rule, str, str], ...] = (
    (is_placed, "jobmgr/newcomer.py", ""),
    (is_placed, "jobmgr/newpackage/part.py", ""),
    (imports_downwards, "jobmgr/job.py", "from jobmgr.manager import JobManager"),
    (imports_downwards, "jobmgr/job.py", "from .manager import JobManager"),
    (imports_downwards, "jobmgr/job.py", "from . import manager"),
    (imports_downwards, "jobmgr/job.py", "import jobmgr.manager"),
    (imports_downwards, "jobmgr/job.py", "def f():\n    import jobmgr.manager"),
    (imports_downwards, "jobmgr/job.py", "import jobmgr.events"),
    (imports_downwards, "jobmgr/store/sqlite.py", "from ..output import Output"),
    (imports_downwards, "jobmgr/__init__.py", "from jobmgr.job import Job"),
    (imports_downwards, "jobmgr/__init__.py", "from .job import Job"),
    (knows_only_its_own, "jobmgr/process/keeper_client.py", "from jobmgr.job import Job"),
    (uses_standard_library_only, "jobmgr/job.py", "import pydantic"),
    (stays_home, "jobmgr/manager.py", "import numpy as np"),
    (stays_home, "jobmgr/manager.py", "from scipy.stats import norm"),
    (stays_home, "jobmgr/manager.py", "def f():\n    import sqlite3"),
    (stays_home, "jobmgr/client.py", "from aiohttp import web"),
    (stays_home, "jobmgr/client.py", "import aiohttp.web"),
    (stays_home, "jobmgr/client.py", "import aiohttp\nr = aiohttp.web.Response()"),
    (stays_home, "jobmgr/cli.py", "import aiohttp"),
    (stays_home, "jobmgr/manager.py", "import os\nos.environ['A']"),
    (stays_home, "jobmgr/config.py", "import os\nos.environ"),
    (stays_home, "jobmgr/manager.py", "from os import environ"),
    (stays_home, "jobmgr/manager.py", "import os\nos.getenv('A')"),
    (imports_lazily, "jobmgr/stats/analyzer.py", "import numpy"),
    (imports_lazily, "jobmgr/stats/analyzer.py", "class A:\n    from scipy import stats"),
    (keeps_sql_in_the_store, "jobmgr/manager.py", "q = 'SELECT id FROM jobs'"),
    (keeps_sql_in_the_store, "jobmgr/manager.py", "q = f'''\n  UPDATE jobs SET status = {s}'''"),
    (keeps_sql_in_the_store, "jobmgr/manager.py", "q = 'INSERT OR IGNORE INTO jobs VALUES (1)'"),
    (keeps_sql_in_the_store, "jobmgr/manager.py", "q = 'PRAGMA quick_check'"),
    (stays_small, "jobmgr/manager.py", "x = 1\n" * 401),
    (stays_small, "jobmgr/manager.py", "def f():\n" + "    x = 1\n" * 60),
    (stays_small, "jobmgr/manager.py", methods(16)),
    (stays_small, "jobmgr/store/sqlite.py", methods(26)),
    (gives_reasons, "jobmgr/manager.py", "x = 1  # noqa"),
    (gives_reasons, "jobmgr/manager.py", "x = 1  # noqa: E501"),
    (gives_reasons, "jobmgr/manager.py", "# ruff: noqa: E501"),
    (gives_reasons, "tests/unit/test_x.py", "x = 1  # type: ignore[assignment]"),
    (gives_reasons, "tests/unit/test_x.py", "x = 1  # type: ignore  # the library has no types"),
    (has_a_name, "jobmgr/utils.py", ""),
    (has_a_name, "jobmgr/core/job.py", ""),
    (has_a_name, "tests/unit/helpers.py", ""),
    (has_a_name, "jobmgr/process/base.py", ""),
)

GOOD: tuple[tuple[Rule, str, str], ...] = (
    (is_placed, "jobmgr/__init__.py", ""),
    (is_placed, "jobmgr/process/anything.py", ""),
    (imports_downwards, "jobmgr/manager.py", "import os\nfrom jobmgr.job import Job\nfrom jobmgr import events"),
    (imports_downwards, "jobmgr/events.py", "from .job import Job"),
    (imports_downwards, "jobmgr/store/sqlite.py", "from . import base\nfrom jobmgr.store.base import Store"),
    (imports_downwards, "jobmgr/job.py", "if TYPE_CHECKING:\n    from jobmgr.manager import JobManager"),
    (knows_only_its_own, "jobmgr/process/direct.py", "from jobmgr.errors import JobmgrError"),
    (uses_standard_library_only, "jobmgr/events.py", "from jobmgr.job import Job"),
    (stays_home, "jobmgr/api/server.py", "from aiohttp import web"),
    (stays_home, "jobmgr/client.py", "import aiohttp"),
    (stays_home, "jobmgr/environment.py", "import os\nos.environ"),
    (stays_home, "jobmgr/manager.py", "import os\nos.path.join('a')"),
    (imports_lazily, "jobmgr/stats/analyzer.py", "def f():\n    import numpy"),
    (keeps_sql_in_the_store, "jobmgr/store/sqlite.py", "q = 'SELECT id FROM jobs'"),
    (keeps_sql_in_the_store, "jobmgr/manager.py", '"""SELECT id FROM jobs"""\nx = "Select a job from the list"'),
    (stays_small, "jobmgr/manager.py", "x = 1\n" * 400),
    (stays_small, "jobmgr/manager.py", "def f():\n" + "    x = 1\n" * 59),
    (stays_small, "jobmgr/manager.py", methods(15)),
    (stays_small, "jobmgr/store/sqlite.py", methods(25)),
    (gives_reasons, "jobmgr/manager.py", "x = 1  # noqa: E501 - a table, one row a line"),
    (gives_reasons, "jobmgr/manager.py", "x = 1  # type: ignore[assignment]  # the library has no types"),
    (gives_reasons, "jobmgr/manager.py", "x = '# noqa'"),
    (has_a_name, "jobmgr/store/base.py", ""),
)


@pytest.mark.parametrize(("rule", "path", "source"), BAD)
def test_each_rule_sees_what_it_forbids(rule: Rule, path: str, source: str) -> None:
    """A small bad example makes the rule complain."""
    assert rule(path, source) != []


@pytest.mark.parametrize(("rule", "path", "source"), GOOD)
def test_each_rule_leaves_alone_what_is_allowed(rule: Rule, path: str, source: str) -> None:
    """A small good example close to the forbidden passes."""
    assert rule(path, source) == []


def test_every_rule_has_a_bad_example() -> None:
    """There is no rule of which nobody knows whether it can fail."""
    assert {rule for rule, _, _ in BAD} == set(RULES)


def test_all_of_floor_0_is_held_to_the_standard_library() -> None:
    """No module joins the pure heart without saying what it may import."""
    assert set(FLOORS[0]) <= set(STANDARD_LIBRARY_AND)


def test_a_cycle_is_found() -> None:
    """Two modules of one package that import each other are named."""
    sources = {
        "jobmgr/store/__init__.py": "",
        "jobmgr/store/jobs.py": "from jobmgr.store.events import append",
        "jobmgr/store/events.py": "def f():\n    from .jobs import Row",
    }
    assert find_cycle(sources) == ["store.events -> store.jobs -> store.events"] or find_cycle(sources) == [
        "store.jobs -> store.events -> store.jobs"
    ]


def test_modules_that_share_an_import_are_no_cycle() -> None:
    """A diamond of imports passes, and so does a package whose __init__ speaks for its parts."""
    sources = {
        "jobmgr/store/__init__.py": "from jobmgr.store.jobs import Jobs",
        "jobmgr/store/jobs.py": "from jobmgr.store.base import Row\nfrom jobmgr.clock import now",
        "jobmgr/store/base.py": "from jobmgr.clock import now",
        "jobmgr/clock.py": "",
    }
    assert find_cycle(sources) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("jobmgr/process/keeper.py", "import psutil"),
        ("jobmgr/process/tree.py", "def f():\n    import psutil"),
        ("jobmgr/process/tree.py", "from jobmgr.clock import now_us"),
        ("jobmgr/process/__init__.py", "from jobmgr.process.launcher import Launcher"),
        ("jobmgr/__init__.py", "import structlog"),
    ],
)
def test_the_keepers_baggage_is_found(path: str, source: str) -> None:
    """What the keeper imports through another module or a package is named."""
    sources = {
        "jobmgr/__init__.py": "",
        "jobmgr/clock.py": "import time",
        "jobmgr/process/__init__.py": "",
        "jobmgr/process/keeper.py": "import os\nfrom jobmgr.process import tree",
        "jobmgr/process/tree.py": "import os",
        "jobmgr/process/launcher.py": "import aiohttp",
    }
    assert find_keepers_baggage(sources) == []
    assert find_keepers_baggage({**sources, "jobmgr/process/keeper.py": "from . import tree", path: source}) != []
