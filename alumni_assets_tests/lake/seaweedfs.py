"""SeaweedFS on this machine, an S3 server of another origin than moto, which keeps what it is given on the disk.

It comes with `make cloud`. Where it behaves otherwise than AWS is said in docs/aws.md, and in the tests.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import requests
from botocore.exceptions import BotoCoreError, ClientError

from alumni_assets_tests.ports import free_port

PROGRAM = Path(__file__).parents[2] / ".venv-cloud" / "bin" / "weed"
_STARTS_WITHIN = 60.0  # seconds
_ATTEMPTS = 3
_PARTS = ("master", "volume", "filer", "s3")


@dataclass(frozen=True)
class SeaweedFS:
    """A server: the address of its S3, and that of the part of it that gives out room on the disk."""

    endpoint: str
    master: str

    def make_room(self, bucket: str) -> None:
        """What the server does by itself with the first object of a bucket, but a fifth of a second later."""
        requests.get(f"{self.master}/vol/grow", {"collection": bucket, "count": 1}, timeout=10).raise_for_status()


@contextmanager
def serving(folder: Path, access_key: str, secret_key: str) -> Iterator[SeaweedFS]:
    """A server that keeps everything in `folder`, and ends with the context."""
    process, ports = _started(folder, access_key, secret_key)
    try:
        yield _server_at(ports)
    finally:
        process.kill()  # it takes a quarter of a minute to end in order, and nothing of it is kept
        process.wait()
        for part in _PARTS:  # its sockets, which have a fixed place
            for name in (f"{part}-{ports[f'{part}.port']}", f"{part}-grpc-{ports[f'{part}.port.grpc']}"):
                Path(f"/tmp/seaweedfs-{name}.sock").unlink(missing_ok=True)


def _started(folder: Path, access_key: str, secret_key: str) -> tuple[subprocess.Popen[bytes], dict[str, int]]:
    """The process and its ports. It ends by itself where somebody else takes one of these first: then once more."""
    for _ in range(_ATTEMPTS):
        ports = {f"{part}.{name}": free_port() for part in _PARTS for name in ("port", "port.grpc")}
        process = _process(folder, access_key, secret_key, ports)
        if _serves(process, _server_at(ports).endpoint, access_key, secret_key):
            return process, ports
        process.kill()
        process.wait()
    raise RuntimeError(f"SeaweedFS does not start: {(folder / 'log.txt').read_text(errors='replace')[-2000:]}")


def _server_at(ports: dict[str, int]) -> SeaweedFS:
    return SeaweedFS(*(f"http://127.0.0.1:{ports[name]}" for name in ("s3.port", "master.port")))


def _process(folder: Path, access_key: str, secret_key: str, ports: dict[str, int]) -> subprocess.Popen[bytes]:
    identity = {"accessKey": access_key, "secretKey": secret_key}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    users = {"identities": [{"name": "tests", "credentials": [identity], "actions": actions}]}
    (folder / "users.json").write_text(json.dumps(users))
    options = {
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "s3.config": folder / "users.json",
        # As AWS: a bucket has to be made, and to be empty before it can go.
        "s3.autoCreateBucket": "false",
        "s3.allowDeleteBucketNotEmpty": "false",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 64,
        "volume.max": 0,  # as many as the disk can hold
        **ports,
    }
    command = [str(PROGRAM), "-logtostderr", "server", "-s3", *(f"-{name}={value}" for name, value in options.items())]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
    with (folder / "log.txt").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def _serves(process: subprocess.Popen[bytes], endpoint: str, access_key: str, secret_key: str) -> bool:
    """Whether an object can be written, once the parts of the server have found each other one after the other."""
    client = boto3.Session(access_key, secret_key, region_name="us-east-1").client("s3", endpoint_url=endpoint)
    deadline = time.monotonic() + _STARTS_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        try:
            client.create_bucket(Bucket="is-it-there")
            client.put_object(Bucket="is-it-there", Key="object", Body=b"x")
        except (BotoCoreError, ClientError):
            time.sleep(0.1)
        else:
            return True
    return False
