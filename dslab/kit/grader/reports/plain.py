"""A check's result as plain text, for formats that show a text beside each check."""

from __future__ import annotations

from dslab.kit.grader.verdict import CheckResult, Verdict

_LABEL_WIDTH = 11  # as in `compare`


def explanation(check: CheckResult) -> str:
    """What was wrong, both sides, the last words, where to go from here; empty for a pass."""
    if check.verdict is Verdict.PASS:
        return ""
    parts = [check.message, _labelled("sent", check.sent)]
    if check.verdict is Verdict.FAIL:
        parts.append(check.detail)
    if check.verdict is Verdict.ERROR:
        parts.append("This is not the student's fault: the check, dslab or the machine broke.")
    parts.append(_labelled("stderr", check.stderr))
    if check.verdict is Verdict.FAIL:
        parts.append(_labelled("hint", f"dslab hint {check.hint}"))
    parts.append(_labelled("again", check.repeat))
    return "\n".join(part for part in parts if part)


def _labelled(label: str, text: str) -> str:
    lines = text.replace("\n", "\n" + " " * _LABEL_WIDTH)
    return f"{label:<{_LABEL_WIDTH}}{lines}" if text else ""
