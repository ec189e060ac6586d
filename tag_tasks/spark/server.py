"""The embedded Spark server's own process: `python server.py sail | local[N]`.

It prints the port that it serves on 127.0.0.1, and ends when its standard input closes: so it
never outlives its parent, however that dies. A signal to the process group must not end
Spark before the jobs are drained, so it hears none of the polite ones.
"""

from __future__ import annotations

import signal
import socket
import sys

SAIL_SETTINGS = {
    # Ids differ in their last digits only: a third less to write than with a dictionary, and half the space.
    "SAIL_PARQUET__DICTIONARY_ENABLED": "false",
    "SAIL_PARQUET__ENCODING": "delta_byte_array",
    "SAIL_PARQUET__COMPRESSION": "zstd(1)",
    # A source that was changed is seen by the next job.
    "SAIL_EXECUTION__FILE_LISTING_CACHE__TYPE": "none",
    "RUST_LOG": "error",
}
"""Environment of a Sail server, read by it before anything else."""


def main(engine: str) -> None:
    # Blocked, not ignored: Sail sets handlers of its own later, and its threads inherit this mask.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    held, port = _serve_sail() if engine == "sail" else _serve_jvm(engine)
    print(port, flush=True)
    sys.stdin.read()
    del held  # held until here: a Sail server that nobody holds stops


def _serve_sail() -> tuple[object, int]:
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    return server, int(server.listening_address[1])


def _serve_jvm(master: str) -> tuple[object, int]:
    """JVM Spark, with its own Connect plug-in: the same door, so that nothing else has to know."""
    from pyspark.sql import SparkSession

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    settings = {
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.log.level": "ERROR",
        "spark.python.sql.dataFrameDebugging.enabled": "false",  # as for any session, but here it is static
        "spark.sql.sources.commitProtocolClass": (
            "org.apache.spark.sql.execution.datasources.SQLHadoopMapReduceCommitProtocol"
        ),
    }
    builder = SparkSession.builder.master(master).appName("tagapi")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate(), port


if __name__ == "__main__":
    main(sys.argv[1])
