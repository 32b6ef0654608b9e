"""One home for many probes: each runs in it, and it is built anew where one has changed it."""

from __future__ import annotations

import time

from conformance.drivers.local.built_home import BuiltHome
from conformance.drivers.local.driver import LocalDriver
from conformance.drivers.local.standalone import lacks
from conformance.errors import ConformanceError
from conformance.home import remove
from conformance.home.build import Unbuildable
from conformance.model.contract import Contract
from conformance.model.outcome import Broke, Execution, Unsupported, not_run
from conformance.model.placeholders import Context
from conformance.model.scenario import Scenario

__all__ = ["StandingHome"]


class StandingHome:
    """The home of *scenario* under *contract*, as any driver builds it for a single probe.

    To build a home and to take it away often costs more than the probe that runs in it. So this
    one stays while nothing says that it is another one than was built: no name, mode, content, time
    of a change. That something was read, a probe may see; nothing else is left of those before.
    Temporary directories are new for each.

    Not for several threads at once. Close it, so that it is removed.
    """

    def __init__(self, scenario: Scenario, contract: Contract, context: Context) -> None:
        self.scenario = scenario
        self.contract = contract
        self.context = context
        self._built: BuiltHome | None = None
        self._since = 0.0

    @staticmethod
    def suits(scenario: Scenario, contract: Contract) -> bool:
        """Return whether all that the *scenario* shows is a home, in which a probe runs once."""
        more = contract.in_steps or contract.entrypoint is not None or contract.requests is not None
        return not more and scenario.earlier is None and scenario.container is None

    @property
    def seconds(self) -> float:
        """How long the home has been standing."""
        return time.monotonic() - self._since if self._built is not None else 0.0

    def execute(self, driver: LocalDriver) -> Execution:
        """Run the probe of *driver* in the home; see :meth:`LocalDriver.execute`."""
        try:
            if self._built is None:
                self._built = self._build(driver)
            execution = driver.execute_in(self._built, self.scenario, self.contract)
            if not (execution.outcome.says_something and self._built.is_untouched):
                self.close()
        except Unbuildable as e:
            return not_run(Unsupported(str(e)))
        except (ConformanceError, OSError) as e:
            return not_run(Broke(str(e)))
        return execution

    def _build(self, driver: LocalDriver) -> BuiltHome:
        if why_not := lacks(self.scenario):
            raise Unbuildable(why_not)
        place = driver.new_place(self.scenario)
        try:
            layout = driver.place(self.scenario, self.contract, self.context, place)
            built = BuiltHome(layout, place)
        except BaseException:
            remove(place.top)
            raise
        self._since = time.monotonic()
        return built

    def close(self) -> None:
        """Remove the home.

        :raises OSError: that is not possible.
        """
        built, self._built = self._built, None
        if built is not None:
            remove(built.place.top)
