"""How far a run has come."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

__all__ = ["Bar"]

#: Less than so many steps are not worth a line before the end.
_MANY = 10


class Bar:
    """A moving bar on a terminal; elsewhere a line for each tenth, if *lines* are wanted."""

    def __init__(self, console: Console, total: int, *, lines: bool = False) -> None:
        self._console = console
        self._total = total
        self._next_tenth = 1 if lines and total >= _MANY else None
        self._progress: Progress | None = None

    def start(self, note: str = "") -> None:
        """Show the bar, with a *note* beside it until the first step."""
        # With FORCE_COLOR, rich takes anything for a terminal, and a log gets bar after bar.
        real = self._console.file.isatty() and self._console.is_terminal
        if real and not self._console.is_dumb_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
            # What else comes to standard output, such as pytest's own words, has been sent elsewhere on purpose.
            self._progress = Progress(
                *columns, console=self._console, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self._progress.add_task(note, total=self._total)
            self._progress.start()

    def step(self, done: int, note: str = "") -> None:
        """Show that *done* steps are behind us; *note* stands beside the bar, in red."""
        if self._progress is not None:
            words = f"[red]{note}[/red]" if note else ""
            self._progress.update(self._progress.task_ids[0], completed=done, description=words)
        elif self._next_tenth is not None and done * 10 >= self._total * self._next_tenth:
            self._next_tenth = done * 10 // self._total + 1
            self._console.print(Text(f"  {done} of {self._total}"))

    def stop(self) -> None:
        """Take the bar away; below lines, leave one empty. No step is shown any more."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        elif self._next_tenth is not None:
            self._console.print()
        self._next_tenth = None

    def __enter__(self) -> Bar:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()
