"""Fake homes: from entries to nodes, from nodes to a directory or a tar stream, and what a probe did to them."""

from conformance.home.build import build, check_target
from conformance.home.plan import Node, plan
from conformance.home.snapshot import Snapshot, difference, mismatch, snapshot
from conformance.home.tarball import write_tar
from conformance.home.walk import remove

__all__ = ["Node", "Snapshot", "build", "check_target", "difference", "mismatch", "plan", "remove", "snapshot", "write_tar"]
