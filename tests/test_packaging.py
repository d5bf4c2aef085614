"""The wheel: what is in it, and that it works where nothing else is."""
from __future__ import annotations

import email
import os
import pathlib
import re
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
import zipfile
from typing import Any

import pytest
from conftest import free_port

import alertlite

ROOT = pathlib.Path(alertlite.__file__).parent


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("ALERTLITE_", "PYTHON", "VIRTUAL_ENV"))}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The wheel of this source tree, built without a network."""
    folder = tmp_path_factory.mktemp("dist")
    built = subprocess.run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
                           capture_output=True, text=True, timeout=120, env=clean_environment(), cwd=folder)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_module_the_schema_and_the_command(wheel: pathlib.Path) -> None:
    assert wheel.name == f"alertlite-{alertlite.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    info = f"alertlite-{alertlite.__version__}.dist-info/"
    assert {name for name in files if not name.startswith(info)} == {"alertlite.py", "schema.sql"}, "nothing else lands in site-packages"
    for name in ("alertlite.py", "schema.sql"):
        assert files[name] == (ROOT / name).read_bytes()
    assert files[info + "entry_points.txt"].decode().split("\n")[:2] == ["[console_scripts]", "alertlite = alertlite:main"]
    metadata = email.message_from_bytes(files[info + "METADATA"])
    assert (metadata["Name"], metadata["Version"], metadata["Requires-Python"]) == ("alertlite", alertlite.__version__, ">=3.10")
    needed = {re.match(r"[\w-]+", line)[0] for line in metadata.get_all("Requires-Dist") if "extra ==" not in line}
    assert needed == {"bottle", "waitress", "croniter"}, "run-time packages"
    assert metadata.get_payload().strip(), "the README is the description"


@pytest.fixture(scope="module")
def installed(wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The command in an environment of its own that has this wheel, and borrows the packages it needs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index", "--no-deps", str(wheel)],
                   check=True, timeout=120, env=clean_environment(), cwd=folder)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "alertlite"


@pytest.mark.slow
def test_the_installed_command_tells_its_version(installed: pathlib.Path, tmp_path: pathlib.Path) -> None:
    ended = subprocess.run([installed, "--version"], capture_output=True, text=True, timeout=20, cwd=tmp_path, env=clean_environment())
    assert (ended.returncode, ended.stdout) == (0, f"alertlite {alertlite.__version__}\n"), ended


def healthz(port: int) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        return answer.status


@pytest.mark.slow
def test_the_installed_server_starts_in_an_empty_folder(installed: pathlib.Path, tmp_path: pathlib.Path) -> None:
    port = free_port()
    with open(tmp_path.with_suffix(".log"), "wb") as log:
        process = subprocess.Popen([installed, "serve", "--listen", f"127.0.0.1:{port}"], cwd=tmp_path, env=clean_environment(),
                                   stdout=log, stderr=log)
    try:
        status, deadline = None, time.monotonic() + 20
        while status is None and process.poll() is None and time.monotonic() < deadline:
            try:
                status = healthz(port)
            except OSError:
                time.sleep(0.02)
        assert status == 200, tmp_path.with_suffix(".log").read_text()
        assert (tmp_path / "alertlite.db").exists(), "without settings the database is where it was started"
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)
    assert code == 0
