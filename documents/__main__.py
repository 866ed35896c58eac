"""`./scripts/document`: write every document anew that is not as the code says."""

from __future__ import annotations

from documents.made import ROOT, made

for path, text in made().items():
    file = ROOT / path
    if not file.is_file() or file.read_text() != text:
        file.write_text(text)
        print(f"written: {path}")
