"""junit.xml: for continuous integration. A check is a test case, its step the class name.

Source: the schema that Jenkins' xunit plugin publishes as junit-10.xsd, which pytest's own report follows.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as Xml

from dslab.kit.grader.reports.files import write_whole
from dslab.kit.grader.reports.plain import explanation
from dslab.kit.grader.verdict import CheckResult, RunResult, StepResult, Verdict, count, shown

FILE = "junit.xml"
# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(result: RunResult, folder: Path) -> None:
    """Write it into a folder."""
    tree = Xml.Element("testsuites")
    tree.append(_suite(result))
    Xml.indent(tree)
    write_whole(folder / FILE, Xml.tostring(tree, encoding="unicode", xml_declaration=False) + "\n")


def _suite(result: RunResult) -> Xml.Element:
    checks = result.checks
    suite = Xml.Element(
        "testsuite",
        name=_safe(f"dslab.{result.lab}"),
        tests=str(len(checks)),
        failures=str(count(checks, Verdict.FAIL)),
        errors=str(count(checks, Verdict.ERROR)),
        skipped=str(count(checks, Verdict.SKIPPED)),
        time=f"{result.duration_s:.3f}",
        timestamp=result.started.partition("+")[0],
    )
    properties = Xml.SubElement(suite, "properties")
    facts = {"seed": str(result.seed), "backend": result.backend, "score": shown(result.score)}
    for name, value in (facts | {"max_score": shown(result.max_score)}).items():
        Xml.SubElement(properties, "property", name=name, value=value)
    suite.extend(_case(result, step, check) for step in result.steps for check in step.checks)
    return suite


def _case(result: RunResult, step: StepResult, check: CheckResult) -> Xml.Element:
    classname = _safe(f"{result.lab}.step {step.id}")
    case = Xml.Element(
        "testcase", classname=classname, name=_safe(check.name), time=f"{check.duration_s:.3f}"
    )
    message = _safe(f"{check.statement} {check.message}")
    match check.verdict:
        case Verdict.FAIL:
            _child(case, "failure", message, explanation(check))
        case Verdict.ERROR:
            _child(case, "error", message, check.detail)
        case Verdict.SKIPPED:
            _child(case, "skipped", _safe(check.message), "")
        case Verdict.PASS:
            pass
    return case


def _child(case: Xml.Element, tag: str, message: str, text: str) -> None:
    child = Xml.SubElement(case, tag, message=message, type=tag)
    child.text = _safe(text) or None


def _safe(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
