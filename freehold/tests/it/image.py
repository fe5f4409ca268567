"""Writes an image in OCI's layout, as a builder of images would: the host's Python, and a program.

Arguments: the folder of the layout, the program, and the words behind its entry point.
"""

import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile

LAYOUT, PROGRAM, *WORDS = sys.argv[1:]
PYTHON = os.path.realpath("/usr/bin/python3")
NAME = os.path.basename(PYTHON)


def blob(data, media_type):
    """Keeps a blob, and describes it."""
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{LAYOUT}/blobs/sha256/{digest}", "wb") as file:
        file.write(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def layer(fill):
    """A layer of what is added to its tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        fill(tar)
    packed = gzip.compress(out.getvalue(), compresslevel=1, mtime=0)
    return blob(packed, "application/vnd.oci.image.layer.v1.tar+gzip")


def add(tar, path, data, mode=0o644):
    """Adds a file of these bytes."""
    info = tarfile.TarInfo(path)
    info.size, info.mode, info.uid, info.gid = len(data), mode, 0, 0
    tar.addfile(info, io.BytesIO(data))


def base(tar):
    """The interpreter, its libraries and modules; and something that is removed later."""
    needed = subprocess.run(["ldd", PYTHON], check=True, capture_output=True, text=True).stdout
    files = [word for word in needed.split() if word.startswith("/")] + [PYTHON]
    for file in files:
        real = os.path.join(os.path.realpath(os.path.dirname(file)), os.path.basename(file))
        with open(file, "rb") as source:
            add(tar, real[1:], source.read(), 0o755)
    modules = f"/usr/lib/{NAME}"
    for folder, folders, names in os.walk(modules):
        folders[:] = sorted(set(folders) - {"__pycache__", "test", "tests"})
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as source:
                    add(tar, path[1:], source.read())
    for name, target in [("lib", "usr/lib"), ("lib64", "usr/lib64"), ("bin", "usr/bin")]:
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, target
        tar.addfile(link)
    add(tar, "app/secret", b"of the layer below")


def top(tar):
    """The program, through a link of the layer below, and a whiteout."""
    with open(PROGRAM, "rb") as source:
        add(tar, "bin/program.py", source.read())
    add(tar, "app/.wh.secret", b"")


os.makedirs(f"{LAYOUT}/blobs/sha256")
architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
config = {
    "architecture": architecture,
    "os": "linux",
    "config": {
        "Entrypoint": [NAME, "/usr/bin/program.py"],
        "Cmd": WORDS,
        "Env": ["PATH=/usr/bin", "COLOUR=blue"],
        "WorkingDir": "/app",
    },
    "rootfs": {"type": "layers", "diff_ids": []},
}
manifest = {
    "schemaVersion": 2,
    "config": blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
    "layers": [layer(base), layer(top)],
}
manifest = blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
manifest["platform"] = {"architecture": architecture, "os": "linux"}
with open(f"{LAYOUT}/index.json", "w", encoding="utf-8") as file:
    json.dump({"schemaVersion": 2, "manifests": [manifest]}, file)
with open(f"{LAYOUT}/oci-layout", "w", encoding="utf-8") as file:
    json.dump({"imageLayoutVersion": "1.0.0"}, file)
