"""The shape of the house: which module may know which, how large they get, and what importing the plugin costs."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import conformance

PACKAGE = Path(conformance.__file__).parent
#: From the ground up: a module may know what stands in a line above its own, or in its own package.
FLOORS = [
    {"text"},
    {"errors", "bundled"},
    {"files", "model"},
    {"catalogue"},
    {"home"},
    {"specification"},
    {"loading"},
    {"drivers"},
    {"judge", "export"},
    {"capture"},
    {"report"},
    {"run"},
    {"strength", "compare", "lockstep", "images", "wiring", "reduce"},
    {"discover"},
    {"plugin", "cli", "api"},
    {"__main__"},
]
#: In an installed package the fixtures lie below it as well; they are programs of their own.
MODULES = sorted(
    file for file in PACKAGE.rglob("*.py") if "fixtures" not in file.relative_to(PACKAGE).parts
)


def name(file: Path) -> str:
    """Return the dotted name of a module below the package; of the package itself, an empty one."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def noun(module: str) -> str:
    """Return the part of the house that a module belongs to."""
    return module.partition(".")[0]


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), os.fspath(file))


def imported(node: ast.AST) -> Iterator[str]:
    """Yield what is imported anywhere below *node*, also in functions, but not what only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if (
            isinstance(child, ast.If)
            and isinstance(child.test, ast.Name)
            and child.test.id == "TYPE_CHECKING"
        ):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute here"
            # "from package import module" names a module as well.
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        yield from imported(child)


def ours(file: Path) -> set[str]:
    """Return the names below the package that *file* imports."""
    return {
        found.removeprefix("conformance.")
        for found in imported(tree(file))
        if found.startswith("conformance.")
    }


def test_every_module_has_its_floor() -> None:
    parts = {noun(name(file)) for file in MODULES} - {""}

    assert sorted(part for floor in FLOORS for part in floor) == sorted(parts)


@pytest.mark.parametrize("file", MODULES, ids=[name(file) or "conformance" for file in MODULES])
def test_imports_point_one_way(file: Path) -> None:
    floor = {part: number for number, floor in enumerate(FLOORS) for part in floor}
    here = noun(name(file))

    # What the package itself offers, its version, stands below everything.
    above = {noun(found) for found in ours(file)} & floor.keys() - {here}

    assert sorted(part for part in above if floor[part] >= floor.get(here, 0)) == []


@pytest.mark.parametrize(
    "part",
    [
        "model",
        "catalogue",
        "home",
        "drivers",
        "judge",
        "report",
        "run",
        "strength",
        "compare",
        "lockstep",
        "wiring",
        "cli",
    ],
)
def test_there_is_no_circle_inside_a_package(part: str) -> None:
    edges = {
        name(file): {
            target
            for found in ours(file)
            for target in (found, found.rpartition(".")[0])
            if noun(target) == part
        }
        for file in MODULES
        if noun(name(file)) == part
    }
    # That a module is imported from its package says nothing: importing the package runs its __init__ in any case.
    known = {
        module: {target for target in targets if target in edges and target not in (module, part)}
        for module, targets in edges.items()
    }

    while leaves := {module for module, targets in known.items() if not targets}:
        known = {
            module: targets - leaves for module, targets in known.items() if module not in leaves
        }

    assert known == {}


@pytest.mark.parametrize(
    ("part", "foreign"),
    [
        ("drivers", {"pytest", "_pytest", "xdist", "click", "rich"}),
        ("home", {"pytest", "_pytest", "xdist", "click", "rich", "docker"}),
        ("catalogue", {"pytest", "_pytest", "xdist", "click", "rich", "docker"}),
        ("judge", {"docker", "pytest", "_pytest", "xdist", "click", "rich", "os", "subprocess"}),
        ("model", {"pytest", "click", "rich", "os", "pathlib", "subprocess", "io"}),
        ("plugin", {"docker", "msgspec", "click", "rich", "subprocess"}),
        ("run", {"docker", "click", "rich", "subprocess"}),
        ("report", {"pytest", "_pytest", "xdist", "click"}),
    ],
)
def test_a_part_knows_nothing_of_what_is_not_its_business(part: str, foreign: set[str]) -> None:
    found = {
        noun(module)
        for file in MODULES
        if noun(name(file)) == part
        for module in imported(tree(file))
    }

    assert sorted(found & foreign) == []


def test_what_msgspec_knows_of_a_type_is_built_by_one_thread_at_a_time() -> None:
    """Elsewhere types are read by decoders that are made at import; two threads that are first would end the process."""
    reads = {"msgspec.convert", "msgspec.json.decode", "msgspec.msgpack.decode"}
    calls = {
        file: {
            ast.unparse(node.func) for node in ast.walk(tree(file)) if isinstance(node, ast.Call)
        }
        for file in MODULES
    }
    found = {name(file) for file, called in calls.items() if called & reads}

    # The settings are the first thing a process reads, results are read where no other thread reads anything new.
    assert sorted(found) == ["catalogue.toml", "run.assembly", "run.pytest_run"]


def test_the_supervisor_needs_nothing_but_the_standard_library() -> None:
    """It is started with ``-I``, so nothing else can be found but the modules beside it."""
    local = PACKAGE / "drivers" / "local"
    files = ("supervisor", "isolation", "hosted", "hosted_import", "hosted_end", "callable_host")
    beside = {name for file in files for name in (file, f"conformance.drivers.local.{file}")}
    found = {module for file in files for module in imported(tree(local / f"{file}.py"))}

    assert {noun(module) for module in found - beside} <= sys.stdlib_module_names


@pytest.mark.parametrize("file", MODULES, ids=[name(file) or "conformance" for file in MODULES])
def test_no_module_is_over_400_lines_and_no_function_over_60(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").count("\n")
    functions = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(tree(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert lines <= 400
    assert {function: length for function, length in functions.items() if length > 60} == {}


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a new interpreter has loaded after *statement*."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": os.fspath(PACKAGE.parent)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_plugin_brings_nothing_that_is_not_loaded_for_pytest_anyway() -> None:
    """Not even the package: a project may have one of that name."""
    loaded = loaded_by("import pytest_probe_conformance") - loaded_by("import pytest")

    assert loaded == {"pytest_probe_conformance"}


def test_commands_that_run_nothing_do_without_pytest() -> None:
    """``list`` is to answer in under 0.3 s."""
    loaded = loaded_by(
        "from conformance.cli import cli\ncli.main(['list', 'claude/nested-session'], standalone_mode=False)"
    )

    assert {"conformance.catalogue.catalogue", "click", "msgspec"} <= loaded
    foreign = {
        "pytest",
        "_pytest",
        "xdist",
        "rich",
        "docker",
        "jinja2",
        "subprocess",
        "conformance.drivers",
        "conformance.run.items",
        "conformance.specification",
    }
    assert loaded & foreign == set()


def test_whoever_says_what_a_scenario_expects_asks_what_a_contract_makes_of_it() -> None:
    """What the files say is not all there is to it where a contract of one's own changes rules."""
    readers = {f"catalogue.catalogue.{reader}" for reader in ("load_catalogue", "read_catalogue")}
    found = {name(file) for file in MODULES if ours(file) & readers}

    # Lint is about the files themselves, and to capture is known whatever stands in any.
    assert found == {"loading", "cli.lint", "capture.known"}


def test_looking_at_manifests_does_without_pytest_and_engines() -> None:
    loaded = loaded_by("import conformance.cli.wiring")

    assert "conformance.wiring.check" in loaded
    assert loaded & {"pytest", "_pytest", "xdist", "docker", "conformance.run.assembly"} == set()


def test_only_what_deals_with_an_engine_knows_its_sdk() -> None:
    """What only type checkers see does not count."""
    found = {
        name(file)
        for file in MODULES
        if {noun(module) for module in imported(tree(file))} & {"docker", "requests"}
    }

    assert {module for module in found if not module.startswith("drivers.container.")} <= {
        "images.reference",
        "wiring.inspection",
    }
    assert "drivers.container.request" not in found  # the settings of every run know it


def test_in_features_only_reports_know_how_they_are_shown() -> None:
    """What they come to is computed elsewhere, and can be tested without a stream."""
    features = {"strength", "compare", "lockstep", "wiring"}
    modules = {name(file): file for file in MODULES if noun(name(file)) in features}
    found = {
        module
        for module, file in modules.items()
        if "rich" in {noun(each) for each in imported(tree(file))}
    }

    assert found == {
        "strength.report",
        "compare.agree_report",
        "compare.report",
        "compare.several_report",
        "compare.reality_report",
        "lockstep.report",
        "wiring.report",
    }


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_of_a_local_probe_does_without_the_sdk_of_engines(
    tmp_path: Path, workers: str
) -> None:
    """It takes a fifth of a second to import, in every worker."""
    words = ["run", "claude/nested-session", "--probe", "sh -c 'exit 0'", "-n", workers]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "conformance", *words],
        env={**os.environ, "PYTHONPATH": os.fspath(PACKAGE.parent), "PYTHONPROFILEIMPORTTIME": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    loaded = [
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    ]

    assert done.returncode == 0, done.stdout
    # The driver is imported by whoever runs a scenario: so the imports of workers are seen as well.
    assert loaded.count("conformance.run.assembly") == 1 + int(workers)
    assert {noun(module) for module in loaded} & {"docker", "requests", "urllib3"} == set()


def test_importing_the_package_costs_next_to_nothing() -> None:
    assert {
        module for module in loaded_by("import conformance") if noun(module) == "conformance"
    } == {"conformance"}
