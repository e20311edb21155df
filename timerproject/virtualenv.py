"""Install the hashed packages of a requirements file into a virtual environment, once.

    python3 timerproject/virtualenv.py .venv requirements.txt

Needs only the standard library. The SHA-256 of the installed file is stored next to the environment, so the next call
only compares it and returns. Two concurrent calls wait for each other.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

MINIMUM = (3, 11)


def set_up(environment: Path, requirements: Path) -> bool:
    """Install the packages of `requirements` into `environment`; return False if they were installed already."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = environment / f".{requirements.stem}.sha256"
    if is_installed(environment, stamp, digest):
        return False
    with environment.with_name(f"{environment.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_installed(environment, stamp, digest):
            return False
        if not works(environment):
            create(environment)
        install(environment, requirements)
        stamp.write_text(digest + "\n")
    return True


def is_installed(environment: Path, stamp: Path, digest: str) -> bool:
    return stamp.is_file() and stamp.read_text().strip() == digest and (environment / "bin/python").exists()


def works(environment: Path) -> bool:
    """Return whether pip runs in the environment; it does not after a killed set-up or when Python was removed."""
    python = environment / "bin/python"
    return python.exists() and run_quietly([str(python), "-m", "pip", "--version"])


def create(environment: Path) -> None:
    if sys.version_info < MINIMUM:
        raise SystemExit(f"Python {MINIMUM[0]}.{MINIMUM[1]} or newer is needed; this is {sys.version.split()[0]}.")
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        raise SystemExit(
            "This Python comes without its venv module, so no environment can be made. "
            "On Debian and Ubuntu: apt-get install python3-venv"
        )
    say(f"Making {environment} with Python {sys.version.split()[0]} ...")
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=False)
    if made.returncode:
        raise SystemExit(f"The virtual environment {environment} could not be made; see above.")


def install(environment: Path, requirements: Path) -> None:
    say(f"Installing {requirements.name} into {environment}; this is done once ...")
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    installed = subprocess.run([*pip, "--require-hashes", "-r", str(requirements)], check=False)
    if installed.returncode:
        raise SystemExit(
            f"The packages of {requirements.name} could not be installed; see above. "
            "Behind a proxy or with an own index, set pip's PIP_PROXY or PIP_INDEX_URL and run it again."
        )


def run_quietly(command: list[str]) -> bool:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: virtualenv.py ENVIRONMENT REQUIREMENTS")
    set_up(Path(sys.argv[1]), Path(sys.argv[2]))
