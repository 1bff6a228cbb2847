"""An S3 server over real sockets, in a process of its own, for tests."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import boto3

BUCKET = "postroom-bodies"
ACCESS_KEY, SECRET_KEY = "postroom", "a secret of this test"
START_S = 60


@dataclass
class S3Server:
    """`start`, `stop` (all is forgotten), and again on the same port."""

    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> S3Server:
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                break
            if time.monotonic() > until or self.process.poll() is not None:
                raise AssertionError("the S3 server does not start")
            time.sleep(0.05)
        self.client().create_bucket(Bucket=BUCKET)
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def client(self):  # type: ignore[no-untyped-def]  # boto3 makes its clients at run time
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )

    def stored(self) -> list[str]:
        return [one["Key"] for one in self.client().list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def env(self) -> dict[str, str]:
        """For an instance that keeps its bodies here."""
        return {
            "POSTROOM_S3_BUCKET": BUCKET,
            "POSTROOM_S3_ENDPOINT": self.url,
            "POSTROOM_S3_ACCESS_KEY": ACCESS_KEY,
            "POSTROOM_S3_SECRET_KEY": SECRET_KEY,
        }


@contextlib.contextmanager
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    try:
        yield server.start()
    finally:
        server.stop()
