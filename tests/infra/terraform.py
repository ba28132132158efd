"""Runs Terraform for the tests, and reads what it plans.

Terraform needs the AWS provider, and a plan also needs something that answers for AWS. `TRADEHOOK_TERRAFORM`
names a command that has both without network, called as `COMMAND validate DIR` and `COMMAND plan --json FILE
DIR -- ARGUMENTS`. Without it `terraform`
itself is used: it fetches the provider, and plans with the AWS credentials it finds. Where something is
missing the tests skip and say what.
"""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.stack import ROOT

MODULE = ROOT / "infra" / "terraform"
ACCOUNT = "000000000000"  # every account number in a plan is replaced by this one, the local cloud's


@dataclass(frozen=True)
class Resource:
    """One planned resource.

    Attributes:
        key: Its `for_each` key or `count` index. None for a single resource.
        values: Its arguments as far as the plan knows them.
        unknown: The arguments that only an apply will know.
    """

    type: str
    name: str
    key: str | int | None
    values: Mapping[str, Any]
    unknown: Mapping[str, Any]

    @property
    def address(self) -> str:
        """As Terraform writes it."""
        return f"{self.type}.{self.name}" + ("" if self.key is None else f"[{json.dumps(self.key)}]")


class Plan:
    """What Terraform would create where nothing is yet."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.resources = [
            Resource(
                change["type"],
                change["name"],
                change.get("index"),
                change["change"]["after"],
                change["change"]["after_unknown"],
            )
            for change in document["resource_changes"]
            if change["mode"] == "managed"
        ]

    @property
    def role_policies(self) -> list[Resource]:
        """What the functions' and schedules' roles allow: inline policies, and the managed ones on tables.

        Keys begin with the function.
        """
        return [
            resource
            for resource in self.resources
            if resource.type in ("aws_iam_role_policy", "aws_iam_policy")
        ]

    def all(self, kind: str, name: str | None = None) -> dict[str | int | None, Resource]:
        """The resources of a type, and of one block if it is named, by their key."""
        found = [
            resource for resource in self.resources if resource.type == kind and name in (None, resource.name)
        ]
        assert len({resource.key for resource in found}) == len(found), (
            f"{kind}: several blocks share keys, name one"
        )
        return {resource.key: resource for resource in found}


def write_release(directory: Path, owners: Mapping[tuple[str, str], str]) -> Path:
    """A stand-in for a built release.

    An empty zip, and a route document with these paths and methods and the functions they belong to.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(directory / "tradehook.zip", "w") as archive:
        archive.writestr("app.py", "")
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), function in owners.items():
        paths.setdefault(path, {})[method.lower()] = {
            "x-tradehook-function": function,
            "consumes": ["*/*"],
            "responses": {"200": {"description": "200 response", "schema": {"$ref": "#/definitions/Empty"}}},
            "x-amazon-apigateway-integration": {
                "type": "aws_proxy",
                "httpMethod": "POST",
                "uri": f"${{{function}}}",
            },
            "parameters": [
                {"name": part.strip("{}"), "in": "path", "required": True, "type": "string"}
                for part in path.split("/")
                if part[:1] == "{"
            ],
        }
    preflight = {
        "x-amazon-apigateway-integration": {
            "type": "mock",
            "requestTemplates": {"application/json": '{"statusCode": 200}'},
        }
    }
    next(iter(paths.values()))["options"] = preflight | {
        "responses": {"200": {"description": "200 response"}}
    }
    routes = {
        "swagger": "2.0",
        "info": {"title": "tradehook", "version": "1.0"},
        "definitions": {"Empty": {"type": "object", "title": "Empty Schema"}},
        "paths": paths,
        "x-amazon-apigateway-binary-media-types": ["application/octet-stream"],
    }
    (directory / "routes.json").write_text(json.dumps(routes))
    digests = {
        name: hashlib.sha256((directory / name).read_bytes()).hexdigest()
        for name in ("tradehook.zip", "routes.json")
    }
    manifest = {
        "python": "3.13",
        "architecture": "arm64",
        "sha256": digests["tradehook.zip"],
        "routes_sha256": digests["routes.json"],
    }
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory


def check_format() -> subprocess.CompletedProcess[str]:
    """`terraform fmt -check`; needs the binary and nothing else."""
    return _run([_terraform(), "fmt", "-check", "-diff", "-recursive", str(MODULE)])


def validate(work: Path) -> subprocess.CompletedProcess[str]:
    """`terraform validate`."""
    if wrapper := _wrapper():
        return _run([*wrapper, "validate", str(MODULE)])
    copy = _initialised(work)
    return _run([_terraform(), "validate", "-no-color"], cwd=copy)


def plan(work: Path, release: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], Plan | None]:
    """`terraform plan` with the arguments; no plan if it failed."""
    work.mkdir(parents=True, exist_ok=True)
    arguments = (f"-var=release_dir={release}", *arguments)
    result = work / "plan.json"
    if wrapper := _wrapper():
        done = _run([*wrapper, "plan", "--json", str(result), str(MODULE), "--", *arguments])
    else:
        if not (os.environ.get("AWS_ACCESS_KEY_ID") or os.environ.get("AWS_PROFILE")):
            pytest.skip(
                "no plan: set TRADEHOOK_TERRAFORM to a Terraform that answers for AWS, "
                "or AWS credentials for a real one"
            )
        copy = _initialised(work)
        done = _run(
            [
                _terraform(),
                "plan",
                "-no-color",
                "-input=false",
                "-lock=false",
                f"-out={work / 'plan'}",
                *arguments,
            ],
            cwd=copy,
        )
        if done.returncode == 0:
            result.write_text(_run([_terraform(), "show", "-json", str(work / "plan")], cwd=copy).stdout)
    if done.returncode:
        return done, None
    document = json.loads(result.read_text())
    account = document["prior_state"]["values"]["root_module"]["resources"]
    [number] = {
        resource["values"]["account_id"] for resource in account if resource["type"] == "aws_caller_identity"
    }
    return done, Plan(json.loads(json.dumps(document).replace(number, ACCOUNT)))


def _initialised(work: Path) -> Path:
    """A copy of the module beside a copy of what it reads, with the provider in it."""
    copy = work / "tree" / "infra" / "terraform"
    if not copy.exists():
        shutil.copytree(
            MODULE, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "backend.tf")
        )
        shutil.copy(ROOT / "infra" / "stack.yaml", copy.parent)
        shutil.copytree(ROOT / "web", work / "tree" / "web")
    done = _run([_terraform(), "init", "-no-color", "-input=false", "-backend=false"], cwd=copy)
    if done.returncode:
        pytest.skip(
            f"terraform init does not get the AWS provider: {(done.stdout + done.stderr).strip()[-300:]}"
        )
    return copy


def _wrapper() -> Sequence[str]:
    command = shlex.split(os.environ.get("TRADEHOOK_TERRAFORM", ""))
    if command and shutil.which(command[0]) is None:
        pytest.fail(f"TRADEHOOK_TERRAFORM names {command[0]}, which is not there")
    return command


def _terraform() -> str:
    return shutil.which("terraform") or pytest.skip("no terraform on this machine")


def _run(command: Sequence[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, "CHECKPOINT_DISABLE": "1"},
    )
