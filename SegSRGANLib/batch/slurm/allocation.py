"""What to ask SLURM for: the text of `--slurm` as sbatch's options."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

_NUMBERS = ("array", "cpus", "gpus")


@dataclass(frozen=True)
class Allocation:
    """An array of jobs and what each gets; what is None, the cluster decides.

    array: number of jobs. partition, account, qos, time ("04:00:00", or minutes), mem ("8G"): as sbatch takes them.
    cpus: processors of a job. gpus: of a job.
    """

    array: int
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: str | None = None
    mem: str | None = None
    cpus: int | None = None
    gpus: int | None = None

    @classmethod
    def parse(cls, text: str) -> Allocation:
        """Read "partition=gpu,array=8,time=04:00:00".

        Raises:
            ValueError: an unknown name, a number that is none, or no array.
        """
        known = [field.name for field in fields(cls)]
        values: dict[str, Any] = {}
        for item in text.split(","):
            name, _, value = (part.strip() for part in item.partition("="))
            if name not in known or not value:
                raise ValueError(f"--slurm takes name=value with the names {', '.join(known)}, not {item.strip()!r}.")
            if name in _NUMBERS and not (value.isascii() and value.isdecimal() and int(value) > 0):
                raise ValueError(f"--slurm takes a whole number from 1 for {name}, not {value!r}.")
            values[name] = int(value) if name in _NUMBERS else value
        if "array" not in values:
            raise ValueError(f"--slurm needs the number of jobs: add  array=8  for eight to {text!r}.")
        return cls(**values)

    def __str__(self) -> str:
        """The text that gives this."""
        return ",".join(f"{name}={value}" for name, value in asdict(self).items() if value is not None)

    def as_submitit(self) -> dict[str, Any]:
        """The parameters of submitit's SlurmExecutor."""
        names: dict[str, Any] = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "time": self.time,
        }
        names |= {"mem": self.mem, "cpus_per_task": self.cpus, "gpus_per_node": self.gpus}
        # inside a job, srun does not know the processors that sbatch was asked for (since SLURM 22.05)
        step = [] if self.cpus is None else [f"--cpus-per-task={self.cpus}"]
        return names | {"job_name": "segsrgan", "array_parallelism": self.array, "srun_args": step, "wckey": None}
