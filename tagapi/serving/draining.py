"""The worker that the service runs: it stops as the service promises."""

from __future__ import annotations

import signal
import threading
from typing import Any

from tagapi.serving.worker import LoopWorker


class DrainingWorker(LoopWorker):
    """Goes on answering requests while the jobs are drained."""

    draining = False
    interrupted = False

    def load_wsgi(self) -> None:
        """The app is told where it listens."""
        self.app.listening = [listener.getsockname()[:2] for listener in self.sockets]
        super().load_wsgi()

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """SIGTERM: drain on a thread of its own, since a signal handler must not wait; then leave as usual."""
        if not self.draining:
            self.draining = True
            threading.Thread(target=self._drain, args=(sig, frame), name="drain", daemon=True).start()

    def handle_quit(self, sig: Any, frame: Any) -> None:
        """Ctrl-C drains likewise; a second one does not wait.

        A terminal sends SIGINT to the whole group, and the master SIGQUIT after it: that is still the first.
        """
        if sig == signal.SIGINT and self.interrupted:
            super().handle_quit(sig, frame)
        self.interrupted = self.interrupted or sig == signal.SIGINT
        self.handle_exit(sig, frame)

    def set_accept_enabled(self, enabled: bool) -> None:
        """At the end take in the connections that are already made, and be deaf at once: what comes later is refused.

        Left in the kernel's queue they would be reset, requests and all, when the listener is closed.
        """
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                while self.accept(listener):
                    pass
                listener.close()

    def _drain(self, sig: Any, frame: Any) -> None:
        try:
            if (app := getattr(self, "wsgi", None)) is not None:  # else the signal came before there was an app
                app.extensions["tagapi"].stop()
        finally:
            super().handle_exit(sig, frame)
