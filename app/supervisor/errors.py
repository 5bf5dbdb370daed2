"""What can go wrong when a deployment is started, stopped or asked."""

from pathlib import Path


class SupervisorError(Exception):
    """A deployment could not be started, stopped or asked."""

    exit_code = 1


class PortInUseError(SupervisorError):
    """Another program listens where the API should."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.host, self.port = host, port

    def __str__(self) -> str:
        return (
            f"port {self.port} on {self.host} is in use by another program: "
            f"stop that program, or start on another port with `gnes up --port {self.port + 1}`"
        )


class AddressError(SupervisorError):
    """The host given is none that this machine can listen on."""

    exit_code = 2

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(host, port, reason)
        self.host, self.port, self.reason = host, port, reason

    def __str__(self) -> str:
        return (
            f"cannot listen on {self.host}:{self.port} ({self.reason}): "
            "give --host an address of this machine, such as 127.0.0.1 or 0.0.0.0"
        )


class FlowFileError(SupervisorError):
    """The flow file cannot be read."""

    exit_code = 2

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return (
            f"cannot read the flow file {self.path} ({self.reason}): name another as in "
            "`gnes up FLOW`, or none for the default flow"
        )


class DataFolderInUseError(SupervisorError):
    """Another deployment runs in this data folder."""

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        super().__init__(data_dir, pid)
        self.data_dir, self.pid = data_dir, pid

    def __str__(self) -> str:
        owner = f"process {self.pid}" if self.pid else "another process"
        return (
            f"{owner} already runs a deployment in {self.data_dir}: stop it with "
            f"`gnes down --data-dir {self.data_dir}`, or give this one another --data-dir"
        )


class DataFolderError(SupervisorError):
    """The data folder cannot be made or written."""

    def __init__(self, data_dir: Path, reason: str) -> None:
        super().__init__(data_dir, reason)
        self.data_dir, self.reason = data_dir, reason

    def __str__(self) -> str:
        return (
            f"cannot write the data folder {self.data_dir} ({self.reason}): "
            "give --data-dir a folder of yours"
        )


class NotRunningError(SupervisorError):
    """No deployment runs in this data folder."""

    exit_code = 3

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.data_dir = data_dir

    def __str__(self) -> str:
        return (
            f"nothing runs in {self.data_dir}: start it with "
            f"`gnes up --data-dir {self.data_dir}`, or name the folder of another with --data-dir"
        )


class BrokerStartError(SupervisorError):
    """The embedded broker ended, or did not answer, while it was being started."""

    def __init__(self, reason: str, log: str) -> None:
        super().__init__(reason, log)
        self.reason, self.log = reason, log

    def __str__(self) -> str:
        return (
            f"the embedded broker did not start: {self.reason}\n{self.log}\n"
            "set GNES_BROKER_URL to use a Redis or RabbitMQ server of your own"
        )


class MissingPackageError(SupervisorError):
    """A package that this start needs is not installed."""

    def __init__(self, package: str, cure: str) -> None:
        super().__init__(package, cure)
        self.package, self.cure = package, cure

    def __str__(self) -> str:
        return f"the package {self.package} is not installed: {self.cure}"


class StartFailedError(SupervisorError):
    """A process died again and again before the deployment was ever ready."""

    def __init__(self, name: str, outcome: str, log: str) -> None:
        super().__init__(name, outcome, log)
        self.name, self.outcome, self.log = name, outcome, log

    def __str__(self) -> str:
        return f"the process {self.name} cannot run, {self.outcome}. Its last words:\n{self.log}"


class MisconfiguredError(SupervisorError):
    """A worker found a fault in the flow that only its components could see."""

    exit_code = 2

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"the flow cannot run, as its process {self.name} found: {self.reason}"


class NotReadyError(SupervisorError):
    """The deployment runs, but was not ready in the time given."""

    exit_code = 3

    def __init__(self, timeout_s: float, reason: str) -> None:
        super().__init__(timeout_s, reason)
        self.timeout_s, self.reason = timeout_s, reason

    def __str__(self) -> str:
        return (
            f"the deployment was not ready after {self.timeout_s:.0f} s ({self.reason}): "
            "look at `gnes status` and `gnes logs`, or wait longer with --timeout"
        )


class ControlError(SupervisorError):
    """The supervisor refused a command, or did not answer it."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(command, reason)
        self.command, self.reason = command, reason

    def __str__(self) -> str:
        return f"the supervisor did not do {self.command!r}: {self.reason}"
