"""Fake homes: entries become nodes, nodes a directory or a tar stream; and what a probe changed."""

from conformance.home.build import build, check_target
from conformance.home.plan import Node, plan
from conformance.home.snapshot import Snapshot, changes, mismatch, snapshot, stamps
from conformance.home.tarball import read_tar, snapshot_tar, write_tar
from conformance.home.walk import remove

__all__ = [
    "Node",
    "Snapshot",
    "build",
    "changes",
    "check_target",
    "mismatch",
    "plan",
    "read_tar",
    "remove",
    "snapshot",
    "snapshot_tar",
    "stamps",
    "write_tar",
]
