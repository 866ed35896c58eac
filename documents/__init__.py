"""Makes the documents that are drawn from the code: `./scripts/document` writes them, a test holds that they are as they would be written now."""
