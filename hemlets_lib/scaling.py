"""What more processes would bring, worked out on paper: computing, and a message between them each step.

Data-parallel processes add up their gradients after each step. In a ring each of n processes sends and
receives 2(n - 1)/n of the message, so that a step takes

    compute + 2 (n - 1) / n · message / bandwidth

if nothing overlaps, and max(compute, ...) if everything could. The slowest link on the ring counts: between
machines, usually, that of the network. This is a plan, not a measurement: bandwidths are those that makers
state for one direction, which programs do not quite reach, and delays are left out.

Source: Patarasuk and Yuan, 'Bandwidth optimal all-reduce algorithms for clusters of workstations', 2009.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LINKS", "Link", "Plan", "all_reduce_seconds", "plan"]


@dataclass(frozen=True)
class Link:
    """What joins processes: its name, bytes a second in one direction, and where that figure is from."""

    name: str
    bytes_per_s: float
    source: str


LINKS = (
    Link("NVLink 4", 450e9, "NVIDIA, H100 and H200 data sheets: 900 GB/s, both directions together"),
    Link("PCIe 5.0 ×16", 63e9, "PCI-SIG: 32 GT/s a lane, 16 lanes, 128b/130b coding"),
    Link("PCIe 4.0 ×16", 31.5e9, "PCI-SIG: 16 GT/s a lane, 16 lanes, 128b/130b coding"),
    Link("100 Gbit/s Ethernet", 12.5e9, "IEEE 802.3bj, the line rate"),
    Link("10 Gbit/s Ethernet", 1.25e9, "IEEE 802.3ae, the line rate"),
)


@dataclass(frozen=True)
class Plan:
    """A step of n processes, each with the batch that one would have.

    Args:
        processes: n.
        exchange_s: For the message.
        step_s: Computing, then exchanging.
        overlapped_s: If exchanging could hide behind computing altogether.
        efficiency, overlapped_efficiency: Images a second, as a share of n times one process's.
    """

    processes: int
    exchange_s: float
    step_s: float
    overlapped_s: float
    efficiency: float
    overlapped_efficiency: float


def all_reduce_seconds(message_bytes: float, processes: int, bytes_per_s: float) -> float:
    """How long a ring takes to add up a message.

    Args:
        message_bytes: Of the gradients: four times the number of weights in float32.
        processes: In the ring; one exchanges nothing.
        bytes_per_s: Of the slowest link, one direction.

    Raises:
        ValueError: If a value is not positive.
    """
    values = {"message_bytes": message_bytes, "processes": processes, "bytes_per_s": bytes_per_s}
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"`{name}` must be positive, got {value}.")
    return 2 * (processes - 1) / processes * message_bytes / bytes_per_s


def plan(compute_s: float, message_bytes: float, processes: int, bytes_per_s: float) -> Plan:
    """A step of several processes on paper.

    Args:
        compute_s: A step of one process, seconds; measure it on the device that is planned for.
        message_bytes, processes, bytes_per_s: As in `all_reduce_seconds`.

    Raises:
        ValueError: If a value is not positive.
    """
    if not compute_s > 0:
        raise ValueError(f"`compute_s` must be positive, got {compute_s}.")
    exchange = all_reduce_seconds(message_bytes, processes, bytes_per_s)
    step, overlapped = compute_s + exchange, max(compute_s, exchange)
    return Plan(processes, exchange, step, overlapped, compute_s / step, compute_s / overlapped)
