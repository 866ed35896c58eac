"""The HTTP interface: what clients send is checked here, what they get is written here; what happens is decided elsewhere."""
