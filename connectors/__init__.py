"""How sources are read: one small module a kind, listed in ``registry``."""
