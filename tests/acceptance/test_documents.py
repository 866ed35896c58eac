"""What is drawn from the code says what the code says now."""

from __future__ import annotations

import pytest

from documents.made import PARTS, ROOT, WHOLE, made


@pytest.mark.parametrize("path", sorted({*WHOLE, *(path for path, _ in PARTS)}))
def test_a_made_document_is_as_the_code_says(path: str) -> None:
    """`./scripts/document` would change nothing."""
    assert (ROOT / path).read_text() == made()[path], f"{path} is not as the code says: run ./scripts/document"
