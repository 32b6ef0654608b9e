"""The structure of documents, by the schemas of kubernetes-validate, where that is installed."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from conformance.errors import UsageError
from conformance.text import one_line, shortened
from conformance.wiring.context import finding
from conformance.wiring.findings import Finding
from conformance.wiring.workloads import Workload, is_placeholder

__all__ = ["Structure", "open_structure"]


class Structure:
    """Checks documents against the schemas of one version of Kubernetes, strictly.

    The library's own ``validate`` stops at the first mistake, and reads all definitions anew for
    each document; its schemas are read through it, and checked as it does that.
    """

    def __init__(self, validate: Any, version: str) -> None:
        self._schemas = validate
        self.version = version

    def check(self, workload: Workload) -> Iterator[Finding]:
        """Yield what does not fit the schema of the kind of *workload*."""
        if not self.knows(workload):
            return
        validator = self._validator(workload)
        if validator is None:
            said = workload.document.text("apiVersion") or "none"
            message = f"Kubernetes {self.version} knows no {workload.kind} of apiVersion {said}"
            way_out = f"write the one that {workload.kind} has"
            place = workload.document.nearest("apiVersion")
            yield finding("structure", place, message, way_out, workload=workload)
            return
        errors = validator.iter_errors(workload.document.plain())
        for error in sorted(errors, key=lambda e: [str(key) for key in e.absolute_path]):
            yield from self._findings(workload, error)

    def knows(self, workload: Workload) -> bool:
        """Return whether *workload* is Kubernetes' own: others have kinds of the same names."""
        return "." not in workload.document.text("apiVersion").partition("/")[0]

    def _validator(self, workload: Workload) -> Any:
        api = workload.document.text("apiVersion")
        if not re.fullmatch(r"[a-z0-9.-]+(/[a-z0-9]+)?", api):
            return None
        # As the library names its files: the group without its domain.
        name = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api)
        return _validator(self._schemas, self.version, f"{workload.kind.lower()}-{name}.json")

    def _findings(self, workload: Workload, error: Any) -> Iterator[Finding]:
        if isinstance(error.instance, str) and is_placeholder(error.instance):
            return
        keys: Sequence[str | int] = list(error.absolute_path)
        place = workload.document.nearest(*keys)
        if error.validator == "additionalProperties":
            known = error.schema.get("properties", {})
            for key in sorted(set(error.instance) - set(known)):
                where = place.path or "a document"
                message = f"Kubernetes {self.version} knows no '{one_line(key)}' in {where}"
                meant = _meant(key, known)
                yield finding("structure", place.nearest(key), message, meant, workload=workload)
            return
        message = shortened(one_line(error.message), 160)
        way_out = "kubectl explain says what it takes"
        yield finding("structure", place, message, way_out, workload=workload)


@cache
def _validator(schemas: Any, version: str, file: str) -> Any:
    """Return what checks documents against the schema in *file*; None if there is none."""
    # Both come with kubernetes-validate.
    jsonschema: Any = importlib.import_module("jsonschema")
    referencing: Any = importlib.import_module("referencing")

    folder = f"kubernetes-json-schema/v{version}.0-local-strict"
    try:
        schema = schemas.schema_contents(f"{folder}/{file}", version)
    except FileNotFoundError:
        return None
    definitions = schemas.schema_contents(f"{folder}/_definitions.json", version)
    registry = referencing.Resource.from_contents(schema) @ referencing.Registry()
    registry = referencing.Resource.from_contents(definitions) @ registry
    return jsonschema.validators.Draft202012Validator(schema, registry=registry)


def open_structure(version: str = "") -> Structure | None:
    """Return what checks against *version*, such as 1.34, or the newest; None if not installed.

    :raises UsageError: the installed library does not know that version.
    """
    try:
        # An extra, and slow to import.
        utils: Any = importlib.import_module("kubernetes_validate.utils")
    except ImportError:
        if version:
            cause = "--kubernetes needs kubernetes-validate"
            hint = "pip install 'probe-conformance[kubernetes]'"
            raise UsageError(cause, hint=hint) from None
        return None
    known = [re.sub(r"^([0-9]+\.[0-9]+).*", r"\1", name) for name in utils.all_versions()]
    known = sorted(set(known), key=lambda name: [int(part) for part in name.split(".")])
    wanted = version.removeprefix("v") or known[-1]
    if wanted not in known:
        hint = f"kubernetes-validate knows {known[0]} to {known[-1]}"
        raise UsageError(f"--kubernetes '{version}' is no known version", hint=hint)
    return Structure(utils, wanted)


def _meant(key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key.lower(), [name.lower() for name in known], 1, 0.75)
    meant = next((name for name in known if close and name.lower() == close[0]), "")
    return f"is {meant} meant?" if meant else "take it out, or correct it"
