"""Looks at everything a server needs and says what it finds and what that means. Changes nothing; one module a subject."""
