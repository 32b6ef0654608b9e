"""Managers that are tables: exit code to action, in a JSON, TOML or YAML file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from conformance.catalogue.toml import read_text, toml
from conformance.errors import FileError
from conformance.lockstep.managers.answers import CODES, Answer, Answers, action_of
from conformance.model.contract import Action
from conformance.text import one_line

__all__ = ["ENDINGS", "TableManager", "pairs", "read_words"]

DEFAULT = "default"
#: The kind of a key "<<".
_MERGE = "tag:yaml.org,2002:merge"
#: More parts than a table of all codes with labels has.
_MOST_NODES = 10_000
Pairs = list[tuple[Any, Any]]
_TWICE, _WHICH = "is listed twice", "which of the two is meant?"


class TableManager:
    """A Manager whose table was read from a file."""

    def __init__(
        self,
        file: str,
        rows: Iterable[tuple[Any, Any]],
        words: Mapping[str, Action],
    ) -> None:
        """Take the *rows* of a table.

        :raises FileError: one of them is wrong.
        """
        self.file = file
        self._words = words
        self._default: Answer | None = None
        self._rows: dict[int, list[Answer]] = {}
        self._said: set[str] = set()
        for key, value in rows:
            answer = _answer(file, key, value, words, self._said)
            if key == DEFAULT:
                if self._default is not None:
                    raise FileError(file, _TWICE, key=DEFAULT, hint=_WHICH)
                self._default = answer
            else:
                self._rows.setdefault(_code(file, key), []).append(answer)
        if not self._rows:
            hint = 'write a table such as 0 = "accept"'
            raise FileError(file, "no exit code is handled", hint=hint)

    @classmethod
    def read(cls, path: Path, words: Mapping[str, Action]) -> TableManager:
        """Return the Manager in the table file *path*.

        It maps exit codes to actions, and ``default`` to that of all others. The codes may be in
        a table called ``codes``.

        :raises FileError: it cannot be read, or is not such a table.
        """
        rows = pairs(path)
        if any(key == "codes" for key, _ in rows):
            rows = _unpacked(str(path), rows)
        return cls(str(path), rows, words)

    def ask(self, first: tuple[int, ...], directory: Path) -> Answers:
        """See :class:`~conformance.lockstep.managers.manager.Manager`."""
        default = self._default or Answer()
        return Answers(
            by_code={code: self._rows.get(code, [default])[0] for code in CODES},
            twice=tuple(
                (code, tuple(answer.action or Action("nothing") for answer in answers))
                for code, answers in self._rows.items()
                if len(answers) > 1
            ),
            unsaid=tuple(word for word in self._words if word not in self._said),
        )

    def describe(self) -> dict[str, Any]:
        """See :class:`~conformance.lockstep.managers.manager.Manager`."""
        return {"kind": "table", "file": self.file, "command": []}


def pairs(path: Path) -> Pairs:
    """Return the rows of the table in *path*, in order; a key may be listed twice.

    :raises FileError: it cannot be read, or holds no table.
    """
    text = read_text(path)
    return _rows(str(path), "", ENDINGS[path.suffix](str(path), text))


def _unpacked(file: str, rows: Pairs) -> Pairs:
    """Return the rows of the table called ``codes``, then the default beside it."""
    codes, defaults = [], []
    for key, value in rows:
        if key == "codes":
            codes += _rows(file, "codes", value)
        elif key == DEFAULT:
            defaults.append((key, value))
        else:
            hint = f"only '{DEFAULT}' may"
            raise FileError(file, "stands beside 'codes'", key=str(key), hint=hint)
    return [*codes, *defaults]


def _rows(file: str, key: str, value: Any) -> Pairs:
    if isinstance(value, dict):
        return list(value.items())
    if not isinstance(value, _Table):
        hint = 'write a table such as {"0": "accept"}'
        raise FileError(file, "holds no table of exit codes", key=key, hint=hint)
    return value


def read_words(path: Path, known: Iterable[Action]) -> dict[str, Action]:
    """Return a Manager's own words for actions, from a file that maps each to a *known* action.

    :raises FileError: it cannot be read, or maps a word to something else.
    """
    if path.suffix not in ENDINGS:
        hint = f"its name has to end in one of {', '.join(ENDINGS)}"
        raise FileError(str(path), "is not a table file", hint=hint)
    names = {action.name for action in known}
    words: dict[str, Action] = {}
    for word, value in pairs(path):
        answer = action_of(_plain(value), {})
        if answer.action is None or answer.action.name not in names:
            hint = f"known: {', '.join(sorted(names))}"
            cause = f"{answer.words!r} is no action of the contract"
            raise FileError(str(path), cause, key=str(word), hint=hint)
        if str(word) in words:
            raise FileError(str(path), _TWICE, key=str(word), hint=_WHICH)
        words[str(word)] = answer.action
    return words


def _answer(file: str, key: Any, value: Any, words: Mapping[str, Action], said: set[str]) -> Answer:
    value = _plain(value)
    answer = action_of(value, words)
    if answer.action is None:
        cause = answer.failed or "an empty text, which is no action"
        if value is None:
            cause = "no action"
        raise FileError(file, cause, key=str(key), hint='write a word such as "retry"')
    name = value["action"] if isinstance(value, dict) else value
    said.update({name.strip(), name.split()[0]})
    return answer


def _code(file: str, key: Any) -> int:
    """Return the exit code that *key* stands for.

    065 is 65: otherwise a zero would hide that a code is listed twice.
    """
    text = str(key) if not isinstance(key, bool) else ""
    if not re.fullmatch(r"-?[0-9]{1,9}", text) or int(text) not in CODES:
        hint = f"write 0 to 255, a negative number for a signal, or '{DEFAULT}'"
        word = one_line(str(key))
        raise FileError(file, f"{word!r} is no exit code", key=word, hint=hint)
    return int(text)


class _Table(list[tuple[Any, Any]]):
    """The rows of a table, which may hold a key twice."""


def _plain(value: Any) -> Any:
    """Return *value* with tables as dictionaries."""
    if isinstance(value, _Table):
        return {key: _plain(inner) for key, inner in value}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _json(file: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_Table)
    except RecursionError:
        raise FileError(file, "is not JSON: nested too deeply") from None
    except ValueError as e:
        raise FileError(file, f"is not JSON: {e}") from None


def _yaml(file: str, text: str) -> Any:
    import yaml  # noqa: PLC0415 - imported only when used

    try:
        # The loader itself silently takes the last of two rows; its nodes hold both.
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        return _from_node(loader, node, [0], 0) if node is not None else None
    except (yaml.YAMLError, ValueError) as e:
        raise FileError(file, f"is not YAML: {one_line(str(e))}") from None


def _from_node(loader: Any, node: Any, seen: list[int], depth: int) -> Any:
    seen[0] += 1
    # An alias may stand for its own parent, or for more and more aliases.
    if depth > 10 or seen[0] > _MOST_NODES:
        raise ValueError("nested too deeply, or too large")
    if node.id == "mapping":
        return _from_mapping(loader, node, seen, depth)
    if node.id == "sequence":
        return [_from_node(loader, item, seen, depth + 1) for item in node.value]
    return loader.construct_object(node)


def _from_mapping(loader: Any, node: Any, seen: list[int], depth: int) -> _Table:
    """Return the rows of a mapping, then those that it merges and does not have itself."""
    table, merged = _Table(), []
    for key_node, value_node in node.value:
        value = _from_node(loader, value_node, seen, depth + 1)
        if key_node.tag == _MERGE:
            others = [value] if isinstance(value, _Table) else value
            if not isinstance(others, list) or not all(isinstance(one, _Table) for one in others):
                raise ValueError("'<<' merges a mapping, or a list of them")
            merged += [row for one in others for row in one]
        else:
            table.append((_from_node(loader, key_node, seen, depth + 1), value))
    for key, value in merged:
        if key not in [known for known, _ in table]:
            table.append((key, value))
    return table


#: How table files are read, by the ending of their names.
ENDINGS: dict[str, Callable[[str, str], Any]] = {
    ".json": _json,
    ".toml": toml,
    ".yaml": _yaml,
    ".yml": _yaml,
}
