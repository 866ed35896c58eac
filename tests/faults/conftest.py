"""What the tests of whole servers share: a site, of which nothing is left at the end; and one that stands for a whole module."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

if sys.platform == "linux":
    from tests.faults.hostile import Target
    from tests.faults.servers import Site

    @contextmanager
    def a_site(request: pytest.FixtureRequest, directory: Path) -> Iterator[Site]:
        """A site whose last server leaves in order; the test fails when any process of it is left then."""
        site = Site(directory)
        failures = request.session.testsfailed
        try:
            yield site
            if site.servers and request.session.testsfailed == failures:
                site.leave()
        finally:
            site.kill_everything()

    @pytest.fixture
    def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
        """A site of the test's own."""
        with a_site(request, tmp_path) as site:
            yield site

    @pytest.fixture(scope="module")
    def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
        """A server for all attacks of a module: each of them must leave it as it was."""
        with a_site(request, tmp_path_factory.mktemp("target")) as site:
            yield Target(site)
