"""A SLURM of one machine for the tests: munged, slurmctld and slurmd with a configuration of their own.

On Debian and Ubuntu:  apt-get install slurmctld slurmd slurm-client munge. It needs root, as SLURM does.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
PARTITION = "brains"
_PATIENCE = 60  # s until the node is idle


class NotStarted(RuntimeError):
    """The daemons do not run here, as in a container that forbids what they need."""


def missing() -> str | None:
    """Why no SLURM can be started here, or None."""
    absent = [name for name in PROGRAMS if _program(name) is None]
    if absent:
        return f"needs SLURM: {', '.join(absent)} not found (apt-get install slurmctld slurmd slurm-client munge)"
    return None if os.geteuid() == 0 else "SLURM's daemons need root"


@contextmanager
def running_cluster(folder: Path, cpus: int = 2) -> Iterator[None]:
    """Start the three daemons and wait until jobs can run; the environment then names this SLURM.

    Args:
        folder: empty, for configuration, state and logs; a short path, as it holds sockets. cpus: of the node, as
            SLURM counts them, however many the machine has.

    Raises:
        NotStarted: with what the daemons say.
    """
    folder.chmod(0o755)
    _configure(folder, cpus)
    with ExitStack() as stack:
        _start_munge(folder, stack)
        before = os.environ.get("SLURM_CONF")
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
        stack.callback(_restore, "SLURM_CONF", before)
        for daemon in ("slurmctld", "slurmd"):
            _start([_program(daemon), "-D", "-f", str(folder / "slurm.conf")], folder / f"{daemon}.out", stack)
        _wait_for_node(folder)
        stack.callback(_cancel_all)
        yield


def _configure(folder: Path, cpus: int) -> None:
    ports = [_free_port(), _free_port()]
    name = socket.gethostname().split(".")[0]
    settings = {
        "ClusterName": "test",
        "SlurmctldHost": f"{name}(127.0.0.1)",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder / 'munge.socket'}",
        "CredType": "cred/munge",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "SlurmctldPort": ports[0],
        "SlurmdPort": ports[1],
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd.pid",
        "SlurmctldLogFile": folder / "slurmctld.log",
        "SlurmdLogFile": folder / "slurmd.log",
        # no cgroups: a container has none to give
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/none",
        "SwitchType": "switch/none",
        "MpiDefault": "none",
        "MailProg": "/bin/true",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU",
        "SchedulerParameters": "batch_sched_delay=0,sched_interval=2",
        "SlurmdParameters": "config_overrides",
        "ReturnToService": 2,
        "KillWait": 20,
    }
    lines = [f"{key}={value}" for key, value in settings.items()]
    lines += [f"NodeName={name} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN"]
    lines += [f"PartitionName={PARTITION} Nodes=ALL Default=YES MaxTime=60 State=UP"]
    (folder / "slurm.conf").write_text("\n".join(lines) + "\n")
    # older ones know no such plugin, and look for cgroups only where a plugin asks for them
    (folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n" if _version() >= (23, 11) else "")
    for name in ("state", "spool"):
        (folder / name).mkdir()


def _version() -> tuple[int, ...]:
    said = subprocess.run([_program("slurmd"), "-V"], capture_output=True, text=True).stdout
    return tuple(map(int, re.findall(r"\d+", said)[:2]))


def _start_munge(folder: Path, stack: ExitStack) -> None:
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    paths = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid", "log-file": "munge.log"}
    options = [f"--{option}={folder / name}" for option, name in (paths | {"seed-file": "munge.seed"}).items()]
    _start([_program("munged"), "--foreground", "--force", *options], folder / "munged.out", stack)
    deadline = time.monotonic() + _PATIENCE
    while not (folder / "munge.socket").exists():
        if time.monotonic() > deadline:
            raise NotStarted((folder / "munged.out").read_text())
        time.sleep(0.05)


def _start(command: list[str | None], log: Path, stack: ExitStack) -> None:
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
    stack.callback(_stop, process)


def _stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for_node(folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True).stdout.strip() != "idle":
        if time.monotonic() > deadline:
            logs = [path.read_text(errors="replace")[-2000:] for path in sorted(folder.glob("*.log"))]
            raise NotStarted("\n".join(logs))
        time.sleep(0.1)


def wait_until_idle() -> None:
    """Wait until no job is left.

    Raises:
        RuntimeError: one is left after a minute.
    """
    deadline = time.monotonic() + _PATIENCE
    while left := subprocess.run(["squeue", "-h"], capture_output=True, text=True).stdout:
        if time.monotonic() > deadline:
            raise RuntimeError(f"SLURM still has jobs:\n{left}")
        time.sleep(0.1)


def _cancel_all() -> None:
    with suppress(OSError, RuntimeError):
        subprocess.run(["scancel", "--user", "root"], capture_output=True)
        wait_until_idle()


def _restore(name: str, value: str | None) -> None:
    os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def _free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]
