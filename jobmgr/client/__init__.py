"""The client of the HTTP API: what the command line speaks through. Standard library only, and light to import."""
