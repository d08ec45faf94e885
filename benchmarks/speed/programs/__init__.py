"""The peers' programs; each is started by its path, in an environment of its own."""
