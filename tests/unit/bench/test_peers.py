"""The peers really run what they are told, and say so when they cannot."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from bench.peers import HYPERQUEUE, LIMIT, XARGS, Load, Peer

PEERS = [
    pytest.param(
        peer,
        id=peer.name,
        marks=pytest.mark.skipif(peer.missing() is not None, reason=f"{peer.name}: {peer.missing()}"),
    )
    for peer in (LIMIT, XARGS)
]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that leaves a byte for each of its runs."""
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\nprintf x >>"{tmp_path}/runs"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_runs_the_program_exactly_so_often(peer: Peer, program: Path, tmp_path: Path) -> None:
    """25 runs, 3 at once, are 25 runs, and the time is a positive number of seconds."""
    assert peer.run(Load(25, 3, str(program), tmp_path)) > 0
    assert (tmp_path / "runs").read_text() == "x" * 25


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_whose_programs_fail_has_no_figure(peer: Peer, tmp_path: Path) -> None:
    """A failing program is an error, not a fast run."""
    program = shutil.which("false")
    assert program is not None
    with pytest.raises(Exception, match=r"exit status|ended with 1"):
        peer.run(Load(3, 1, program, tmp_path))


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a compiler on the path the C loop names it."""
    monkeypatch.setenv("PATH", os.devnull)
    assert LIMIT.missing() == "there is no cc here"


@pytest.mark.skipif(HYPERQUEUE.missing() is not None, reason="HyperQueue is not installed")
def test_hyperqueue_has_a_version() -> None:
    """It is named beside the figures."""
    assert HYPERQUEUE.version()[0].isdigit()
