"""Processes that fork from one that has imported everything: to import it takes seconds.

`install` makes Jupyter start its kernels so, in the process that calls it. A kernel still has its
own process, folder and environment. `make run`, `make refresh` and ``doctor`` start kernels in the
ordinary way, and so find an import that is missing.
"""

import multiprocessing
import os
import signal
import sys
import time
from contextlib import suppress

from jupyter_client.provisioning import local_provisioner

LAUNCHER = "ipykernel_launcher"
IMPORTED = (
    "ipykernel.kernelapp",
    "ipywidgets",
    "matplotlib.pyplot",
    "r3d_helpers.classroom.checks",
    "r3d_helpers.classroom.widgets",
    "r3d_helpers.studies.experiments",
    "r3d_helpers.trainer",
    "torch._dynamo",  # every optimizer imports it
    "torchmetrics",
)

processes = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
processes.set_forkserver_preload([*IMPORTED])


def install() -> None:
    """From now on kernels fork, on Linux; elsewhere libraries do not expect it."""
    if sys.platform == "linux":
        local_provisioner.launch_kernel = Kernel


class Kernel:
    """A forked process with the methods of `subprocess.Popen` that Jupyter asks for."""

    stdin = stdout = stderr = None

    def __init__(self, command, *, env, cwd=None, **_):
        arguments = command[command.index(LAUNCHER) + 1 :]
        self.process = processes.Process(target=_run, args=(arguments, dict(env), cwd or "."))
        self.process.start()
        self.pid = self.process.pid
        while os.getpgid(self.pid) != self.pid:  # a signal is sent to its group: it must be its own
            time.sleep(0.001)

    def poll(self):
        return self.process.exitcode

    def wait(self):
        self.process.join()
        return self.process.exitcode

    def send_signal(self, number):
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def _run(arguments, env, cwd):
    """In the forked process: what ``python -m ipykernel_launcher`` does."""
    import matplotlib
    from ipykernel import kernelapp

    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    # A kernel names its backend in the environment, which matplotlib has read by now.
    matplotlib.rcParams["backend"] = "module://matplotlib_inline.backend_inline"
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    sys.argv = [LAUNCHER, *arguments]
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))  # a lesson has no tests to import
    kernelapp.launch_new_instance()
