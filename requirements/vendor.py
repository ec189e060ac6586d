"""Put into the tree what the page is built on: `make vendor`.

`vendor.json` names each package of the npm registry with its version, its licence, why it is here, the checksum of its
tarball as the registry tells it, and the files that are taken, each with its own. What does not match is not written.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

HERE = Path(__file__).parent
ROOT = HERE.parent
REGISTRY = "https://registry.npmjs.org"


def main() -> None:
    for package in json.loads((HERE / "vendor.json").read_text("utf-8")):
        with tarfile.open(fileobj=io.BytesIO(tarball(package))) as archive:
            for name, file in package["files"].items():
                write(archive, name, file)
        sys.stdout.write(f"{package['name']} {package['version']}\n")


def tarball(package: Mapping[str, Any]) -> bytes:
    """The package as it was published. Exits where it is another one."""
    name, version = package["name"], package["version"]
    answer = requests.get(f"{REGISTRY}/{name}/-/{name}-{version}.tgz", timeout=60)
    answer.raise_for_status()
    told = "sha512-" + base64.b64encode(hashlib.sha512(answer.content).digest()).decode()
    if told != package["integrity"]:
        sys.exit(f"{name} {version} is {told}, not {package['integrity']}")
    return answer.content


def write(archive: tarfile.TarFile, name: str, file: Mapping[str, str]) -> None:
    found = archive.extractfile(f"package/{name}")
    content = b"" if found is None else found.read()
    if hashlib.sha256(content).hexdigest() != file["sha256"]:
        sys.exit(f"{name} is {hashlib.sha256(content).hexdigest()}, not {file['sha256']}")
    path = ROOT / file["path"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


if __name__ == "__main__":
    main()
