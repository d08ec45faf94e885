"""A TCP proxy in front of a server: it cuts, delays, swallows, flips, throttles, holds bytes.

A ``Fault`` strikes once, at a byte counted over all that passes in one direction since the fault
was armed; ``struck`` tells that it did. ``hold`` keeps a link's requests back until ``replay``.
Tests with wishes of their own set ``on_request`` and ``on_reply``.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

Direction = Literal["request", "reply"]
Kind = Literal["cut", "delay", "blackhole", "flip", "throttle"]
AT_ONCE = 65536


@dataclass
class Fault:
    """What happens at a byte.

    ``cut``: the link ends behind ``at`` bytes. ``delay``: everything waits there once, for
    ``seconds``. ``blackhole``: from there on the link swallows all bytes, and stays open.
    ``flip``: that byte is XORed with ``mask``. ``throttle``: from there on ``rate`` bytes a
    second, on all links.
    """

    kind: Kind
    direction: Direction
    at: int
    mask: int = 0x01
    seconds: float = 0.2
    rate: int = 100_000
    struck: threading.Event = field(default_factory=threading.Event)
    passed: int = 0

    def start(self, size: int) -> int | None:
        """Where in the next ``size`` bytes it strikes; counts them."""
        place = self.at - self.passed
        self.passed += size
        return place if 0 <= place < size and not self.struck.is_set() else None


class Proxy:
    """Listens on a free port of 127.0.0.1, as long as the block lasts.

    ``on_request`` and ``on_reply`` get the link and the bytes, and return what to pass on; None
    cuts the link. They run in the links' threads. ``commands`` counts complete requests of Redis
    that have arrived, if ``count`` is set: see ``at_command``.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.on_request: Callable[[Link, bytes], bytes | None] = lambda link, data: data
        self.on_reply: Callable[[Link, bytes], bytes | None] = lambda link, data: data
        self.links: list[Link] = []
        self.fault: Fault | None = None
        self.holding = False
        self.held: list[tuple[Link, bytes]] = []
        self.lock = threading.RLock()
        self.passed = {"request": 0, "reply": 0}
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def arm(self, fault: Fault | None) -> Fault | None:
        """Has a fault strike from now on, in the place of any before it; None disarms."""
        with self.lock:
            self.fault = fault
        return fault

    def lead_to(self, port: int) -> None:
        """Has new links lead to another server of this machine, and ends the old ones."""
        self._port = port
        self.cut_all()

    def hold(self) -> None:
        """Keeps back all requests from now on, as a buffering load balancer would."""
        with self.lock:
            self.holding = True

    def replay(self) -> int:
        """Sends what was held to the server, whatever became of its sender; how many bytes."""
        with self.lock:
            self.holding, held, self.held = False, self.held, []
        sent = 0
        for link, data in held:
            try:
                link.server.sendall(data)
                sent += len(data)
            except OSError:
                pass
        return sent

    def cut_all(self) -> None:
        """Ends all links."""
        for link in list(self.links):
            link.cut()

    def close(self) -> None:
        """Ends everything."""
        # Waking accept() up: closing alone does not.
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.cut_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                client.close()
                continue
            self.links = [link for link in self.links if not link.ended]
            self.links.append(Link(self, client, server))


class Link:
    """One connection through the proxy; ``notes`` are the test's own."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server, self.proxy = client, server, proxy
        self.notes: dict[str, object] = {}
        self.ended = self._swallows = False
        ways: tuple[tuple[socket.socket, socket.socket, Direction], ...] = (
            (client, server, "request"),
            (server, client, "reply"),
        )
        for source, sink, direction in ways:
            threading.Thread(target=self._pump, args=(source, sink, direction), daemon=True).start()

    def cut(self) -> None:
        """Ends it, both ways; a request that is held can still be replayed."""
        self.ended = True
        keep_server = any(link is self for link, _ in self.proxy.held)
        for end in (self.client,) if keep_server else (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def _pump(self, source: socket.socket, sink: socket.socket, direction: Direction) -> None:
        hook = "on_request" if direction == "request" else "on_reply"
        try:
            while data := source.recv(AT_ONCE):
                passed: bytes | None = getattr(self.proxy, hook)(self, data)
                if passed is None or not self._pass(passed, sink, direction):
                    break
        except OSError:
            pass
        self.cut()

    def _pass(self, data: bytes, sink: socket.socket, direction: Direction) -> bool:
        """Passes bytes on as the fault lets them; False where the link ends."""
        proxy = self.proxy
        with proxy.lock:
            if direction == "request" and proxy.holding:
                proxy.held.append((self, data))
                return True
            fault = proxy.fault
            mine = fault is not None and fault.direction == direction
            place = fault.start(len(data)) if mine and fault is not None else None
            proxy.passed[direction] += len(data)
        if fault is not None and place is not None:
            return self._strike(fault, place, data, sink)
        if fault is not None and mine and fault.kind == "throttle" and fault.struck.is_set():
            time.sleep(len(data) / fault.rate)
        if not self._swallows:
            sink.sendall(data)
        return True

    def _strike(self, fault: Fault, place: int, data: bytes, sink: socket.socket) -> bool:
        fault.struck.set()
        if fault.kind == "flip":
            sink.sendall(data[:place] + bytes([data[place] ^ fault.mask]) + data[place + 1 :])
            return True
        sink.sendall(data[:place])
        if fault.kind == "cut":
            return False
        if fault.kind == "blackhole":
            self._swallows = True
            return True
        time.sleep(fault.seconds if fault.kind == "delay" else len(data) / fault.rate)
        sink.sendall(data[place:])
        return True
