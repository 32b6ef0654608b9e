"""How far a run has come."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

__all__ = ["Bar"]

#: Fewer steps than this are not worth a line before the end.
_MANY = 10


class Bar:
    """A moving bar on a terminal; elsewhere a line for each tenth, if *lines* are wanted."""

    def __init__(self, console: Console, total: int, *, lines: bool = False) -> None:
        self._console = console
        self._total = total
        self._next_tenth = 1 if lines and total >= _MANY else None
        self._progress: Progress | None = None
        self.lines = 0
        """How many lines were written, and stay."""

    def start(self, note: str = "") -> None:
        """Show the bar, with a *note* beside it until the first step."""
        # With FORCE_COLOR, rich takes any file for a terminal, and a log gets bar after bar.
        real = self._console.file.isatty() and self._console.is_terminal
        if real and not self._console.is_dumb_terminal:
            self._progress = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
                console=self._console,
                transient=True,
                # Other output, such as pytest's, is redirected elsewhere on purpose.
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._progress.add_task(note, total=self._total)
            self._progress.start()

    def step(self, done: int, note: str = "") -> None:
        """Show that *done* steps are done, and a *note* in red beside the bar."""
        if self._progress is not None:
            shown = f"[red]{note}[/red]" if note else ""
            self._progress.update(self._progress.task_ids[0], completed=done, description=shown)
        elif self._next_tenth is not None and done * 10 >= self._total * self._next_tenth:
            self._next_tenth = done * 10 // self._total + 1
            self._console.print(Text(f"  {done} of {self._total}"))
            self.lines += 1

    def stop(self) -> None:
        """Remove the bar, or end the lines with an empty one. No step is shown any more."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        elif self._next_tenth is not None:
            self._console.print()
            self.lines += 1
        self._next_tenth = None

    def __enter__(self) -> Bar:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
