"""What a process counts and measures of itself, in Prometheus' text format.

Several processes each say their own, told apart by the label ``process``: Prometheus adds up after
it has taken rates, which no sum that we made could survive (a process that is replaced counts from
0 again).
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from project.pool import Connections

#: What the HTTP header ``Content-Type`` calls the format.
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Bounds of the histogram of requests, in seconds: from one statement by key to a long export.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

#: Seconds between two looks at the event loop.
LOOK_SECONDS = 0.25


class Metrics:
    """The figures of one process, in a registry of their own."""

    def __init__(self, number: int, pools: Mapping[str, Connections]) -> None:
        self.number = number
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "project_request_seconds",
            "Requests that were answered, and how long that took.",
            ("handler", "table", "method", "status"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._lag = Histogram(
            "project_event_loop_lag_seconds",
            f"How late the event loop is, looked at every {LOOK_SECONDS} seconds.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._in_flight = Gauge(
            "project_requests_in_flight",
            "Requests that have begun and are not answered.",
            registry=self._registry,
        )
        self._ready = Gauge(
            "project_ready", "What /readyz says: 1 for ready.", registry=self._registry
        )
        self._behind = Gauge(
            "project_replica_behind_bytes",
            "Bytes of the database's log that its replica has yet to replay; NaN if unknown.",
            registry=self._registry,
        )
        self._registry.register(Pools(pools))
        ProcessCollector(registry=self._registry)

    def note(self, handler: str, table: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(handler, table, method, f"{status // 100}xx").observe(seconds)

    async def watch(self) -> None:
        """Look at the event loop for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            self._lag.observe(max(0.0, loop.time() - due))

    def collect(self) -> Iterator[Metric]:
        """Yield all of them, as a registry does, labelled as this process's."""
        for metric in self._registry.collect():
            metric.samples = [
                sample._replace(labels={**sample.labels, "process": str(self.number)})
                for sample in metric.samples
                if not sample.name.endswith("_created")
            ]
            yield metric

    def text(self, in_flight: int, behind: float, *, ready: bool) -> str:
        """Return all of them as text.

        Args:
            in_flight: Requests that are being answered.
            behind: Bytes that the replica is behind; not a number if that is not known.
            ready: Whether the service is.

        """
        self._in_flight.set(in_flight)
        self._behind.set(behind)
        self._ready.set(ready)
        return generate_latest(self).decode()


class Pools(Collector):
    """Connections to the database and to its replica, as they are when somebody asks."""

    def __init__(self, pools: Mapping[str, Connections]) -> None:
        self._pools = pools

    def collect(self) -> Iterator[Metric]:
        """Yield a metric for each member of :class:`Usage`."""
        label = ("pool",)
        size = GaugeMetricFamily("project_pool_size", "Connections at most.", labels=label)
        opened = GaugeMetricFamily("project_pool_open", "Connections that are open.", labels=label)
        lent = GaugeMetricFamily("project_pool_in_use", "Connections in use.", labels=label)
        waiting = GaugeMetricFamily(
            "project_pool_waiting", "Requests that wait for a connection.", labels=label
        )
        timed_out = CounterMetricFamily(
            "project_pool_timeouts", "Requests that waited for a connection in vain.", labels=label
        )
        families: tuple[GaugeMetricFamily | CounterMetricFamily, ...] = (
            size,
            opened,
            lent,
            waiting,
            timed_out,
        )
        for name, connections in self._pools.items():
            for family, number in zip(families, connections.usage(), strict=True):
                family.add_metric((name,), number)
        return iter(families)


def joined(texts: Iterable[str]) -> str:
    """Put together what several processes say: the lines of each metric belong together."""
    families: dict[str, list[str]] = {}
    for text in texts:
        for family in text.split("# HELP ")[1:]:
            description, kind, samples = family.split("\n", 2)
            families.setdefault(f"# HELP {description}\n{kind}\n", []).append(samples)
    return "".join(head + "".join(samples) for head, samples in families.items())
