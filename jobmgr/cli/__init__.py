"""What a person types: one module a family of commands; nothing heavy is imported before it is needed."""
