"""Collect the wheels of the package's dependencies, for this machine or for another kind."""

import email
import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from .notebooks import ROOT

INSTALLERS = ("pip", "setuptools")
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
PLATFORM = re.compile(r"(win|macosx_\d+_\d+|manylinux_2_\d+)_(amd64|arm64|aarch64|x86_64)")


class WheelError(Exception):
    """The wheels are not complete; says why, and what to do."""


@dataclass(frozen=True)
class Target:
    """A kind of machine that wheels are for.

    Attributes:
        platform: pip's name for it, such as ``win_amd64``; None for this machine.
        python: its Python, such as ``3.12``.
    """

    platform: str | None
    python: str

    def __str__(self) -> str:
        return f"{self.platform or 'this machine'}, Python {self.python}"

    def pip_options(self) -> list[str]:
        """The arguments of ``pip download`` for this kind of machine."""
        if self.platform is None:
            return []
        platforms = [self.platform]
        if found := re.fullmatch(r"manylinux_2_(\d+)_(\w+)", self.platform):
            # pip takes the name literally, but many wheels are made for an older glibc.
            newest, machine = int(found[1]), found[2]
            platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, 4, -1)]
            platforms += [f"manylinux{year}_{machine}" for year in (2014, 2010, 1)]
        options = [f"--platform={platform}" for platform in platforms]
        return [*options, f"--python-version={self.python}", "--implementation=cp"]

    def markers(self) -> dict[str, str]:
        """The values for requirement markers that differ from those of this machine."""
        if self.platform is None:
            return {}
        # pyrefly: ignore[missing-attribute]
        system, machine = PLATFORM.fullmatch(self.platform).groups()
        sys_platform, platform_system, os_name = {
            "win": ("win32", "Windows", "nt"),
            "macosx": ("darwin", "Darwin", "posix"),
            "manylinux": ("linux", "Linux", "posix"),
        }[system.partition("_")[0]]
        return {
            "sys_platform": sys_platform,
            "platform_system": platform_system,
            "os_name": os_name,
            "platform_machine": "AMD64" if machine == "amd64" else machine,
            "python_version": self.python,
            "python_full_version": f"{self.python}.0",
        }


def gather(target: Target, folder: Path, extra: str | None = "lessons") -> None:
    """Download the wheels of the package's dependencies into ``folder``, with or without an extra.

    pip evaluates markers such as ``sys_platform == "win32"`` for the machine it runs on. Here they
    are read from the wheels and evaluated for the target, until no requirement is left.

    Raises:
        WheelError: pip finds no wheel for something, or cannot reach its registry.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    torch, index = _torch(target)
    try:
        _download(torch, target, folder)
    except WheelError:
        if index is None:
            raise
        _download(torch, target, folder, f"--index-url={index}")
    wanted = {*project["dependencies"], *INSTALLERS}
    if extra is not None:
        wanted |= _extra(project, extra)
    met = set()
    while wanted := wanted - met:
        wheels = _wheels(folder)
        asked = [Requirement(text) for text in sorted(wanted)]
        missing = [r for r in asked if canonicalize_name(r.name) not in wheels]
        _download([f"{r.name}{r.specifier}" for r in missing], target, folder)
        met |= wanted
        wheels = _wheels(folder)
        for requirement in asked:
            wheel = wheels[canonicalize_name(requirement.name)]
            wanted |= _needs(wheel, requirement.extras, target.markers())


def _extra(project: dict, name: str) -> set[str]:
    """The requirements of one of the package's extras, which may include another extra."""
    found = set()
    for text in project["optional-dependencies"][name]:
        requirement = Requirement(text)
        if requirement.name == project["name"]:
            found.update(*(_extra(project, extra) for extra in requirement.extras))
        else:
            found.add(text)
    return found


def _torch(target: Target) -> tuple[list[str], str | None]:
    """The build of torch and torchvision for a machine, and where it is if not in the registry.

    For Linux the registry alone would give a CUDA build of several GB. For machines like this one,
    this machine's build is taken; for other Linux machines, the CPU build.
    """
    names = ("torch", "torchvision")
    builds = [importlib.metadata.version(name).partition("+")[2] for name in names]
    if target.platform is not None:
        builds = ["cpu" if target.platform.startswith("manylinux") else ""] * 2
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    wanted = []
    for name, build in zip(names, builds, strict=True):
        version = re.search(rf"^{name}==(\S+)$", pins, re.MULTILINE)[1]
        wanted.append(f"{name}=={version}" + (f"+{build}" if build else ""))
    return wanted, f"https://download.pytorch.org/whl/{builds[0]}" if builds[0] else None


def _download(requirements: list[str], target: Target, folder: Path, *options: str) -> None:
    if not requirements:
        return
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--progress-bar=off", "--disable-pip-version-check", "-c", "constraints.txt"]
    command += [*target.pip_options(), *options, "-d", str(folder), *requirements]
    errors, network = [], ""
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        for line in map(str.strip, pip.stdout):
            if line.startswith(("Downloading ", "Using cached ")):
                print(f"  {line}", flush=True)
            elif line.startswith("WARNING: Retrying "):
                network = "the network failed; "
            elif line.startswith("ERROR: "):
                errors.append(line.removeprefix("ERROR: ").partition(" (from versions")[0])
    if pip.returncode:
        reason = errors[0] if errors else "it does not say why"
        raise WheelError(f"no wheels for {target}: {network}pip says: {reason}")


def _wheels(folder: Path) -> dict[str, Path]:
    """By name of the project."""
    return {parse_wheel_filename(path.name)[0]: path for path in folder.glob("*.whl")}


def _needs(wheel: Path, extras: set[str], markers: dict[str, str]) -> set[str]:
    """What a wheel with these extras requires, if the markers hold."""
    with zipfile.ZipFile(wheel) as file:
        (info,) = [name for name in file.namelist() if _METADATA.fullmatch(name)]
        lines = email.message_from_bytes(file.read(info)).get_all("Requires-Dist", [])
    found = set()
    for requirement in map(Requirement, lines):
        marker, requirement.marker = requirement.marker, None
        if not marker or any(marker.evaluate({**markers, "extra": e}) for e in extras or {""}):
            found.add(str(requirement))
    return found
