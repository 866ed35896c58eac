"""What the tests of whole servers share: a site, of which nothing is left at the end."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform == "linux":
    from tests.faults.servers import Site

    @pytest.fixture
    def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
        """A site whose last server leaves in order; the test fails when any process of it is left then."""
        site = Site(tmp_path)
        failures = request.session.testsfailed
        try:
            yield site
            if site.servers and request.session.testsfailed == failures:
                site.leave()
        finally:
            site.kill_everything()
