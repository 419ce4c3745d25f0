"""The files of examples/, the Dockerfile and the hook are read as their programs read them."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from equiderm.cli import app

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def assert_is_a_command(line: str) -> None:
    """Parse a command line as the command does, without running it."""
    words = shlex.split(line)
    words = words[words.index("equiderm") + 1 :]
    words = words[: next((k for k, one in enumerate(words) if one in ("&", "||")), None)]
    command = get_command(app).commands[words[0]]
    command.make_context(words[0], words[1:])


def test_a_command_that_is_none_is_noticed():
    with pytest.raises(Exception, match="No such option"):
        assert_is_a_command("equiderm label photographs -o t.csv --engines ray")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.sbatch")), ids=lambda path: path.name)
def test_a_file_for_slurm_is_a_script_whose_commands_are_ours(path):
    subprocess.run(["bash", "-n", str(path)], check=True)
    text = path.read_text(encoding="utf-8")
    head, _, body = text.partition("set -euo pipefail")
    asked = re.findall(r"^#SBATCH --[a-z-]+(?:=\S+)?$", head, re.M)
    assert asked and len(asked) == text.count("#SBATCH"), "it asks before its first command"
    lines = body.replace("\\\n", " ").splitlines()
    ours = [line for line in lines if "equiderm " in line]
    assert ours
    for line in ours:
        assert_is_a_command(line)
    assert re.search(rf"sbatch (\S+ )?examples/{path.name}", head), "it says how it is called"


def test_the_rules_of_snakemake_lead_from_what_is_there_to_the_audit():
    text = (EXAMPLES / "Snakefile").read_text(encoding="utf-8")
    rules = re.split(r"^rule \w+:\n", text, flags=re.M)[1:]
    wanted: set[str] = set()
    given = {"photographs", "predictions.csv"}
    for rule in rules:
        parts = dict(
            re.findall(r"^    (input|output|shell):\n(.*?)(?=^    \w|\Z)", rule, re.M | re.S)
        )
        wanted |= set(re.findall(r'"([^"]+)"', parts["input"]))
        given |= set(re.findall(r'"([^"]+)"', parts.get("output", "")))
        if "shell" in parts:
            line = "".join(re.findall(r'"([^"]+)"', parts["shell"]))
            assert_is_a_command(re.sub(r"\{threads\}", "4", line))
            named = re.findall(r"\{(?:input|output)\.(\w+)\}", line)
            assert all(f"{name}=" in parts["input"] + parts["output"] for name in named)
    assert len(rules) == 3 and wanted <= given


def test_the_action_installs_audits_and_pastes_no_input_into_a_script():
    action = yaml.safe_load((EXAMPLES / "audit-action" / "action.yml").read_text(encoding="utf-8"))
    steps = action["runs"]["steps"]
    assert action["runs"]["using"] == "composite"
    assert all("${{" not in step.get("run", "") for step in steps)
    assert all(("run" in step) == ("shell" in step) for step in steps)
    (audit,) = [step for step in steps if step.get("name") == "audit"]
    assert_is_a_command(audit["run"])
    asked = set(re.findall(r"\$(\w+)", audit["run"]))
    assert asked == set(audit["env"])
    used = set(re.findall(r"inputs\.([\w-]+)", str(steps)))
    assert used == set(action["inputs"])


def test_the_hook_for_pre_commit_is_an_audit_that_can_fail():
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    line = shlex.join([*shlex.split(hook["entry"]), *hook["args"], "predictions.csv"])
    assert_is_a_command(line)
    assert "--fail-if" in line and hook["language"] == "python"
    assert re.search(hook["files"], "model/predictions.csv")
    assert not re.search(hook["files"], "my-predictions.csv.txt")


def test_the_container_runs_without_root_and_writes_where_it_may():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if re.match(r"[A-Z]+ ", line)]
    stages: dict[str, list[list[str]]] = {}
    for line in lines:
        if line[0] == "FROM":
            base, _, name = line[1].partition(" AS ")
            assert base in stages or re.fullmatch(r"python:3\.\d+-slim", base), base
            stages[name] = list(stages.get(base, []))
        else:
            stages[name].append(line)
    assert list(stages)[-1] == "core" and "train" in stages
    for name in ("core", "train"):
        said = dict(stages[name])
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", said["USER"]), "a number that is not root's"
        assert said["ENTRYPOINT"] == '["equiderm"]'
        homes = re.findall(r"(?:HOME|DIR)=(\S+)", said["ENV"])
        assert homes and all(home.startswith("/tmp") for home in homes)
        assert not any(word in ("RUN", "ADD") for word, _ in stages["runtime"])
    copied = [one for word, rest in lines if word == "COPY" and "--from" not in rest
              for one in rest.split()[:-1]]  # fmt: skip
    assert copied and all((ROOT / one).exists() for one in copied)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    assert all(f"!{one}\n" in ignored for one in copied)


def test_the_linter_of_containers_has_nothing_to_say():
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    linter = shutil.which("hadolint", path=os.pathsep.join(places))
    if linter is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([linter, str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
