"""What ends the demo, with the way out in its message."""

from devstack.errors import DevstackError


class DemoFailed(DevstackError):
    """The demo can't go on, or found something that must not be."""
