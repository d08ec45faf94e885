"""The demo bank: made-up customers of four product lines, with every mess that real ones have.

``load`` makes any number of them, the same for the same seed; ``move_on`` lets a day pass.
``python -m devstack.bank`` is the same from a shell. ``planted`` tells what a run must find,
``words`` what the canary is, and ``passwords`` how to log in.
"""

from devstack.bank.bank import load, move_on
from devstack.bank.book import Book
from devstack.bank.servers import Servers, servers_of

__all__ = ["Book", "Servers", "load", "move_on", "servers_of"]
