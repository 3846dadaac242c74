"""Other ways in: a container, Binder, Windows, a code host's machines. They are not run here.

Each is held to a schema, and to the commands of the Makefile that it stands for.
"""

import json
import re
from pathlib import Path

import pytest
import yaml
from check_jsonschema import main as check_jsonschema
from click.testing import CliRunner

from tools import copies, lab

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKE = (ROOT / "Makefile").read_text(encoding="utf-8")
WINDOWS = (ROOT / "tools" / "windows.ps1").read_text(encoding="utf-8")


def complaints(schema, *files):
    done = CliRunner().invoke(check_jsonschema, ["--builtin-schema", schema, *map(str, files)])
    return "" if done.exit_code == 0 else done.output


def test_workflows_and_updates_are_as_their_schemas_say(tmp_path):
    """Without it: a key is misspelt, and a code host runs nothing, without a message."""
    assert complaints("vendor.github-workflows", *WORKFLOWS) == ""
    assert complaints("vendor.dependabot", ROOT / ".github" / "dependabot.yml") == ""
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOWS[0].read_text(encoding="utf-8").replace("runs-on:", "runs_on:"))
    assert "runs_on" in complaints("vendor.github-workflows", broken)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_and_may_write_nothing(path):
    """Without it: an attacker who moves an action's tag runs code in our workflow."""
    text = path.read_text(encoding="utf-8")
    used = re.findall(r"uses: (.+)", text)
    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one) for one in used)
    assert yaml.safe_load(text)["permissions"] == {}
    assert "write" not in text.replace("fail-fast", "")


def test_three_systems_and_four_pythons_are_asked_for():
    (tests,) = (path for path in WORKFLOWS if path.stem == "tests")
    matrix = yaml.safe_load(tests.read_text(encoding="utf-8"))["jobs"]["tests"]["strategy"][
        "matrix"
    ]
    assert {name.partition("-")[0] for name in matrix["system"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]


def recipe(target):
    """What a target of the Makefile has Python run."""
    (body,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", MAKE, re.MULTILINE)
    return re.findall(r"-m (\S+(?: (?!status)[\w./-]+)*)", body.replace("&& echo", "\n"))


@pytest.mark.parametrize("target", ["run", "test", "lab", "book", "workshop"])
def test_the_script_for_windows_does_what_make_does(target):
    """Without it: a command gets an option, and on Windows it does something else."""
    (branch,) = re.findall(rf'^    "{target}" \{{(.+?)\}}$', WINDOWS, re.MULTILINE | re.DOTALL)
    given = re.sub(r'[",@()\\]+ ?', " ", branch).replace("build notebooks", "build/notebooks")
    commands = recipe(target)
    assert commands
    for command in commands:
        assert f"-m {command}" in re.sub(r" +", " ", given)


def test_the_script_for_windows_installs_as_make_does():
    assert "$(" not in WINDOWS  # make's way to write a variable; PowerShell would run it
    (install,) = re.findall(r"pip install (.+)", MAKE)
    for word in install.replace("'", "").split():
        assert f'"{word}"' in WINDOWS


def test_container_and_binder_name_what_there_is():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    for step in ("onCreateCommand", "updateContentCommand"):
        for target in re.findall(r"make (\w+)", container[step]):
            assert re.search(rf"^{target}:", MAKE, re.MULTILINE)
    script = (ROOT / ".binder" / "postBuild").read_text(encoding="utf-8")
    assert "-c constraints.txt -e '.[lessons]'" in script
    (code,) = re.findall(r"python -c '(.+)'", script)
    compile(code, "postBuild", "exec")
    for module, name in re.findall(r"(lab|copies)\.(\w+)", code):
        assert hasattr({"lab": lab, "copies": copies}[module], name)
