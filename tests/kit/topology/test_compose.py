from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import ConfigError
from dslab.kit.topology.compose import read
from dslab.kit.topology.order import with_dependencies
from dslab.kit.topology.spec import Bind, Call, Condition, Port, ServiceSpec, TopologySpec


def read_text(folder: Path, text: str, **environment: str) -> TopologySpec:
    path = folder / "compose.yaml"
    path.write_text(dedent(text))
    return read(path, environment)


def one(folder: Path, body: str, **environment: str) -> ServiceSpec:
    """The only service of a file with that body."""
    indented = "".join(f"    {line}\n" for line in dedent(body).strip().splitlines())
    return read_text(folder, f"services:\n  s:\n{indented}", **environment).services["s"]


# What is understood.


def test_a_whole_file(tmp_path: Path) -> None:
    spec = read_text(
        tmp_path,
        """
        name: pair
        services:
          server:
            image: ${IMAGE:-dslab/course}
            command: python server.py ${SERVER_BIND:-0.0.0.0:7000}
          client:
            command: [python, client.py, "${SERVER_ADDR:-server:7000}", --data, "${DATA:-/scratch}"]
            depends_on: {server: {condition: service_healthy}}
        """,
    )
    assert spec.name == "pair"
    assert list(spec.services) == ["server", "client"]
    server, client = spec.services["server"], spec.services["client"]
    assert server.line == 4
    assert server.binds == (Bind("SERVER_BIND", Address("0.0.0.0", 7000)),)
    assert server.ports == (Port(7000),)
    assert server.docker_only["image"] == "dslab/course"
    assert client.calls == (Call("SERVER_ADDR", "server", Port(7000)),)
    assert client.scratch == ("DATA",)
    assert client.depends_on == {"server": Condition.HEALTHY}
    assert client.nodes == ("client",)


def test_the_name_defaults_to_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "01-sockets"
    folder.mkdir()
    assert read_text(folder, "services: {s: {command: a}}").name == "01-sockets"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python a.py --text 'two words'", ("python", "a.py", "--text", "two words")),
        ("python a.py ${SOME:-x y}", ("python", "a.py", "x", "y")),
        ("[python, a.py, '${SOME:-x y}', 7, true]", ("python", "a.py", "x y", "7", "true")),
        ("sh -c 'echo $$HOME'", ("sh", "-c", "echo $HOME")),
    ],
)
def test_command(tmp_path: Path, command: str, words: tuple[str, ...]) -> None:
    line = one(tmp_path, f"command: {command}").command
    assert line is not None
    assert line.fill({}) == words


@pytest.mark.parametrize(
    "body",
    [
        """
        command: a
        environment: {TEXT: "${WORD:-hello}", NUMBER: 1.10, ANSWER: no, FLAG: true, PASSED:}
        """,
        """
        command: a
        environment: ["TEXT=${WORD:-hello}", NUMBER=1.10, ANSWER=no, FLAG=true, PASSED]
        """,
    ],
)
def test_environment(tmp_path: Path, body: str) -> None:
    environment = one(tmp_path, body).environment
    filled = {key: value.fill({"WORD": "bye"}) if value else value for key, value in environment.items()}
    assert filled == {"TEXT": "bye", "NUMBER": "1.10", "ANSWER": "no", "FLAG": "true", "PASSED": None}


def test_depends_on_in_both_forms(tmp_path: Path) -> None:
    spec = read_text(
        tmp_path,
        """
        services:
          a: {command: a}
          b: {command: b, depends_on: [a]}
          c: {command: c, depends_on: {a: {condition: service_completed_successfully}, b: {}}}
        """,
    )
    assert spec.services["b"].depends_on == {"a": Condition.STARTED}
    assert spec.services["c"].depends_on == {"a": Condition.COMPLETED, "b": Condition.STARTED}


def test_healthcheck(tmp_path: Path) -> None:
    check = one(
        tmp_path,
        """
        command: a
        healthcheck: {test: [CMD, test, -e, "${FILE:-/x}"], interval: 500ms, timeout: 1m30s, retries: 5}
        """,
    ).healthcheck
    assert check is not None
    assert check.test.fill({}) == ("test", "-e", "/x")
    assert (check.interval_s, check.timeout_s, check.retries) == (0.5, 90.0, 5)


@pytest.mark.parametrize("test", ["test -e x", "[CMD-SHELL, test -e x]"])
def test_healthcheck_for_a_shell(tmp_path: Path, test: str) -> None:
    check = one(tmp_path, f"command: a\nhealthcheck: {{test: {test}}}").healthcheck
    assert check is not None
    assert check.test.fill({}) == ("/bin/sh", "-c", "test -e x")


@pytest.mark.parametrize("check", ["{disable: true}", "{test: [NONE]}"])
def test_healthcheck_disabled(tmp_path: Path, check: str) -> None:
    assert one(tmp_path, f"command: a\nhealthcheck: {check}").healthcheck is None


@pytest.mark.parametrize("disable", ["false", "False", '"false"'])
def test_healthcheck_not_disabled(tmp_path: Path, disable: str) -> None:
    check = one(tmp_path, f"command: a\nhealthcheck: {{test: a, disable: {disable}}}").healthcheck
    assert check is not None


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("2h32m", 9_120.0), ("1.5m", 90.0), ("500ms", 0.5), ("250us", 0.000_25), ("0s", 0.0)],
)
def test_durations(tmp_path: Path, written: str, seconds: float) -> None:
    check = one(tmp_path, f"command: a\nhealthcheck: {{test: a, interval: {written}}}").healthcheck
    assert check is not None
    assert check.interval_s == pytest.approx(seconds)


def test_scalars_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    environment = one(tmp_path, "command: a\nenvironment: {A: True, B: FALSE, C: Null, D: yes}").environment
    filled = {key: value.fill({}) if value else value for key, value in environment.items()}
    assert filled == {"A": "true", "B": "false", "C": None, "D": "yes"}


def test_what_many_depend_on_is_ordered_once(tmp_path: Path) -> None:
    layers = 40  # 2 ** 40 ways from the last to the first
    services = {
        f"{side}{layer}": f"{{command: a, depends_on: [{f'l{layer - 1}, r{layer - 1}' if layer else ''}]}}"
        for layer in range(layers)
        for side in "lr"
    }
    text = "services:\n" + "".join(f"  {name}: {body}\n" for name, body in services.items())
    order = with_dependencies([f"l{layers - 1}"], read_text(tmp_path, text).services)
    assert order == [*list(services)[:-2], f"l{layers - 1}"]


def test_replicas_and_profiles(tmp_path: Path) -> None:
    service = one(
        tmp_path,
        """
        command: a
        profiles: [demo]
        deploy: {replicas: "${N:-2}", resources: {limits: {memory: 64M}}}
        """,
        N="3",
    )
    assert service.profiles == ("demo",)
    assert service.nodes == ("s-1", "s-2", "s-3")
    assert service.docker_only["deploy"] == {"resources": {"limits": {"memory": "64M"}}}


def test_expose_decides_the_transport_of_binds_and_calls(tmp_path: Path) -> None:
    spec = read_text(
        tmp_path,
        """
        services:
          server:
            command: a ${TCP:-0.0.0.0:7000} ${UDP:-0.0.0.0:7001}
            expose: [7001/udp, "7000", 7002]
          client:
            command: b ${ONE:-server:7000} ${TWO:-server:7001} ${THREE:-server:7002}
        """,
    )
    server = spec.services["server"]
    assert [bind.port for bind in server.binds] == [Port(7000), Port(7001, "udp")]
    assert server.ports == (Port(7001, "udp"), Port(7000), Port(7002))
    assert [str(call.port) for call in spec.services["client"].calls] == ["7000/tcp", "7001/udp", "7002/tcp"]


def test_only_services_of_the_file_are_called(tmp_path: Path) -> None:
    assert one(tmp_path, "command: a ${ADDRESS:-example.org:80} ${PATH_:-/scratch/x}").calls == ()


def test_variables_in_the_environment_and_in_defaults_have_roles_too(tmp_path: Path) -> None:
    service = one(
        tmp_path,
        """
        command: a ${A:-${B:-0.0.0.0:7000}}
        environment: {SELF: "${SELF:-s:7000}"}
        """,
    )
    assert [bind.variable for bind in service.binds] == ["B"]
    assert service.calls == (Call("SELF", "s", Port(7000)),)


def test_extensions(tmp_path: Path) -> None:
    spec = read_text(
        tmp_path,
        """
        x-dslab: {describe: "pack.wire:describe", framing: "pack.wire:frames"}
        x-other: {anything: [1, 2]}
        services:
          a: {command: a, x-dslab: {local: python -m broker, describe: "other:describe"}, x-mine: 1}
          b: {image: broker}
        """,
    )
    a, b = spec.services["a"], spec.services["b"]
    assert (a.describe, a.framing) == ("other:describe", "pack.wire:frames")
    assert a.local is not None
    assert a.local.fill({}) == ("python", "-m", "broker")
    assert (b.describe, b.command) == ("pack.wire:describe", None)


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    spec = read_text(
        tmp_path,
        """
        x-base: &base {command: base, user: nobody, profiles: [p]}
        services:
          a: {<<: *base, command: own}
          b: *base
        """,
    )
    a, b = spec.services["a"], spec.services["b"]
    assert a.command is not None
    assert a.command.fill({}) == ("own",)
    assert a.docker_only == {"user": "nobody", "deploy": {}}
    assert b.profiles == ("p",)


def test_what_only_docker_understands_is_kept_for_it(tmp_path: Path) -> None:
    service = one(
        tmp_path,
        """
        image: ${IMAGE}
        read_only: true
        ports: ["8000:8000"]
        volumes: ["./x:/x:ro"]
        """,
        IMAGE="course",
    )
    assert service.docker_only["image"] == "course"
    assert service.docker_only["read_only"] is True
    assert service.docker_only["ports"] == ["8000:8000"]
    assert service.docker_only["volumes"] == ["./x:/x:ro"]


# What is refused, word for word.

CASES = [
    (
        "services: {s: {comand: a, image: b}}",
        "line 1: service 's': unknown key 'comand'. Did you mean 'command'?",
    ),
    (
        """\
        services:
          s:
            command: a
            devices: all
        """,
        "line 4: service 's': unknown key 'devices'. Known: build, cap_add,",
    ),
    ("service: {}", "line 1: unknown key 'service'. Did you mean 'services'?"),
    ("{}", "line 1: has no services."),
    ("services: {}", "line 1: has no services."),
    ("[1]", "line 1: is a list, but must be a mapping."),
    ("services: {s: }", "line 1: service 's': is empty, but must be a mapping."),
    ("services: {s: {}}", "line 1: service 's': has neither a command nor an image."),
    ("services: {s: {command: }}", "line 1: service 's': command: is empty."),
    ("services: {s: {command: []}}", "line 1: service 's': command: is empty."),
    (
        "services: {s: {command: [[a]]}}",
        "line 1: service 's': command: is a list, but must be a string.",
    ),
    (
        'services: {s: {command: "a \'b"}}',
        "line 1: service 's': command: no closing quotation. Write the command as a list of words.",
    ),
    (
        "services: {s: {command: 'cost 5$'}}",
        "line 1: service 's': command: 'cost 5$': no variable's name after '$'. Write $$ for a dollar sign.",
    ),
    ("services: {grader: {command: a}}", "line 1: service 'grader': the name is taken:"),
    (
        "services: {s: {image: '${IMAGE}'}}",
        "line 1: service 's': image: variable IMAGE: is not set, and has no default.",
    ),
    (
        "services: {s: {command: a, env_file: .env}}",
        "line 1: service 's': env_file: is not supported. Write the variables under environment.",
    ),
    (
        "services: {s: {command: a, extends: {service: b}}}",
        "line 1: service 's': extends: is not supported. Use an anchor (&name) and a merge key (<<: *name).",
    ),
    (
        "include: [other.yaml]\nservices: {s: {command: a}}",
        "line 1: include: is not supported. Write the services into this file.",
    ),
    (
        "services: {s: {command: a, environment: {A: [1]}}}",
        "line 1: service 's': environment.A: is a list, but must be a string.",
    ),
    (
        "services: {s: {command: a, depends_on: [t]}}",
        "line 1: service 's': depends_on: there is no service 't'. Known: s.",
    ),
    (
        "services: {s: {command: a, depends_on: {s: {condition: healthy}}}}",
        "line 1: service 's': depends_on.s: there is no condition 'healthy'. Did you mean 'service_healthy'?",
    ),
    (
        """\
        services:
          a: {command: a, depends_on: [b]}
          b: {command: b, depends_on: [c]}
          c: {command: c, depends_on: [b]}
        """,
        "line 3: service 'b': depends_on: goes round in a circle: b -> c -> b.",
    ),
    (
        "services: {s: {command: a, healthcheck: {interval: 1s}}}",
        "line 1: service 's': healthcheck: has no test.",
    ),
    (
        "services: {s: {command: a, healthcheck: {test: a, interval: 10}}}",
        "line 1: service 's': healthcheck.interval: '10' is not a duration. Write it like",
    ),
    (
        "services: {s: {command: a, healthcheck: {test: [python, x]}}}",
        "line 1: service 's': healthcheck.test: must be a string, or a list that begins with CMD",
    ),
    (
        "services: {s: {command: a, healthcheck: {test: a, intervall: 10s}}}",
        "line 1: service 's': healthcheck: unknown key 'intervall'. Did you mean 'interval'?",
    ),
    (
        "services: {s: {command: a, deploy: {replicas: none}}}",
        "line 1: service 's': deploy.replicas: 'none' is not a whole number of at least 1.",
    ),
    (
        "services: {s: {command: a, deploy: {replicas: 0}}}",
        "line 1: service 's': deploy.replicas: '0' is not a whole number of at least 1.",
    ),
    (
        "services: {s: {command: a, expose: [70000]}}",
        "line 1: service 's': expose: '70000' is not a port. Write it like 7000 or 7001/udp.",
    ),
    (
        "services: {s: {command: a, expose: [7000, 7000/udp]}}",
        "line 1: service 's': expose: a port stands there twice.",
    ),
    (
        "services: {s: {command: a, x-dslab: {describe: wire}}}",
        "line 1: service 's': x-dslab.describe: 'wire' is not of the form module:function.",
    ),
    (
        "services: {s: {command: 'a ${X:-0.0.0.0:1} ${X:-0.0.0.0:2}'}}",
        "line 1: service 's': variable X has two defaults: '0.0.0.0:1' and '0.0.0.0:2'.",
    ),
    (
        """\
        services:
          server: {command: "a ${BIND:-0.0.0.0:7000}"}
          client: {command: "b ${ADDR:-server:7001}"}
        """,
        "line 3: service 'client': variable ADDR calls server:7001, but server listens on 7000/tcp.",
    ),
    (
        "services: {s: {command: a, deploy: {replicas: 2}}, s-2: {command: b}}",
        "line 1: service 's-2': its node 's-2' has the name of a node of service 's'.",
    ),
    (
        """\
        services:
          s:
            command: a
            command: b
        """,
        "line 4: the key 'command' stands on line 3 already.",
    ),
    ("services: {a/b: {command: a}}", "line 1: service 'a/b': a name is made of letters, digits and . _ -"),
    ("services: {../x: {command: a}}", "line 1: service '../x': a name is made of letters, digits and . _ -"),
    ("services: {s: {command: {{program}}}}", "line 1: a key must be a single value;"),
    (
        "services: {s: {command: 'a ${X:-0.0.0.0:70000}'}}",
        "line 1: service 's': variable X: 0.0.0.0:70000 has no port from 1 to 65535.",
    ),
    (
        "services: {s: {command: 'a ${X:-t:0}'}, t: {command: b}}",
        "line 1: service 's': variable X: t:0 has no port from 1 to 65535.",
    ),
    ("services: {s: {command: ' '}}", "line 1: service 's': command: is empty."),
    ('services: {s: {command: "a\\0"}}', "line 1: service 's': command: holds a zero byte,"),
    (
        'services: {s: {command: a, environment: {A: "\\0"}}}',
        "line 1: service 's': environment.A: holds a zero byte, which no program can be given.",
    ),
    (
        "services: {s: {command: a, environment: [=x]}}",
        "line 1: service 's': environment: '' is not the name of a variable.",
    ),
    (
        "services: {s: {command: a, environment: {A=B: x}}}",
        "line 1: service 's': environment: 'A=B' is not the name of a variable.",
    ),
    (
        "services: {s: {command: a, healthcheck: {test: a, disable: no}}}",
        "line 1: service 's': healthcheck.disable: 'no' is neither true nor false.",
    ),
    ("services:\n  s: !!int x", "line 2: this is no int."),
    ("services:\n  s: !!int", "line 2: this is no int."),
    ("services: {s: !!bool x}", "line 1: this is no bool."),
    ("services: {s: !!timestamp x}", "line 1: this is no timestamp."),
    ("services: !!map [a]", "line 1: this is no map."),
    ("services: {s: *base}", "line 1: found undefined alias 'base'."),
    ("services:\n  s: {command: a\n", "line 3: expected ',' or '}', but got '<stream end>'."),
]


@pytest.mark.parametrize(("text", "message"), CASES, ids=[message[:60] for _, message in CASES])
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_text(tmp_path, text)
    told = str(caught.value)
    assert told.removeprefix(f"{tmp_path / 'compose.yaml'}, ").startswith(message)
    assert told.startswith(f"{tmp_path / 'compose.yaml'}, line ")


def test_too_deep(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"compose\.yaml: too many brackets"):
        read_text(tmp_path, "a: " + "[" * 5_000)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"compose\.yaml: cannot be read: No such file or directory"):
        read(tmp_path / "compose.yaml", {})
