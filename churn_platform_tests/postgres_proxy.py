"""A TCP port in front of a real PostgreSQL that can stop passing bytes on, as a frozen server or a pulled cable would.

Here: the proxy. Not here: the server behind it (`postgres`).
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg.conninfo import conninfo_to_dict


class Proxy:
    """`url` leads through it. After `freeze`, connections are kept and accepted, but nothing is passed on."""

    def __init__(self, url: str) -> None:
        place = conninfo_to_dict(url)
        self._server = f"{place['host']}/.s.PGSQL.{place.get('port', 5432)}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"postgresql://{place['user']}@127.0.0.1:{self._listener.getsockname()[1]}/{place['dbname']}"
        self._wake, self._woken = socket.socketpair()
        self._sockets = [self._listener, self._wake, self._woken]
        self._frozen = self._over = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def freeze(self) -> None:
        """Pass nothing on any more."""
        self._frozen = True

    def stop(self) -> None:
        """Close everything."""
        self._over = True
        self._wake.send(b".")
        self._thread.join()

    def _run(self) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(self._listener, selectors.EVENT_READ)
            ready.register(self._woken, selectors.EVENT_READ)
            while not self._over:
                for key, _ in ready.select():
                    if key.fileobj is self._listener:
                        self._accept(ready)
                    elif key.data is not None and (self._frozen or not _passed_on(key)):
                        ready.unregister(key.fileobj)
        for each in self._sockets:
            each.close()

    def _accept(self, ready: selectors.BaseSelector) -> None:
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._server)
        self._sockets += [client, server]
        ready.register(client, selectors.EVENT_READ, server)
        ready.register(server, selectors.EVENT_READ, client)


def _passed_on(key: selectors.SelectorKey) -> bool:
    """Whether there was something to pass on; otherwise the other end is told that this one has gone."""
    source, target = key.fileobj, key.data
    assert isinstance(source, socket.socket)
    with suppress(OSError):
        data = source.recv(65536)
        target.sendall(data)
        if data:
            return True
        target.shutdown(socket.SHUT_WR)
    return False


@contextmanager
def proxy(url: str) -> Iterator[Proxy]:
    """A proxy for as long as the block lasts."""
    made = Proxy(url)
    try:
        yield made
    finally:
        made.stop()
