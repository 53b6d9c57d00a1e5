"""`ops replay`: a past document made again, and held against what was stored and sent.

Belongs here: reading, comparing, printing. Does not belong here: how a document is made again (`writing.archive`).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ops_platform.commands.safe_text import printable
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    import psycopg

    from ops_platform.writing.archive import Archived, Replayed

_SENT = """
select dedupe_key, payload_hash from ops.outbox
where document_id = %s and thread_of is null and superseded_payloads = 0 order by created_at, dedupe_key limit 1
"""


def run(document: str | None, *, everything: bool, output: Path | None, show: bool, as_json: bool) -> int:
    """Replay one document or all. Exit code 1 where one is not what it was."""
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect
    from ops_platform.writing import archive

    if (document is None) != everything:
        raise click.UsageError("say which document (a number, a job, JOB:YYYY-MM-DD), or --all")
    prepare_database()
    answers = []
    with connect() as connection:
        numbers = _every(connection) if document is None else [archive.find(connection, document)]
        for number in numbers:
            try:
                archived = archive.load(connection, number)
            except DataFailure as error:
                if not everything:
                    raise
                answers.append({"document": number, "same": False, "problems": [str(error)]})
                continue
            again = archive.replay(archived)
            answers.append(_answer(connection, archived, again, output))
            if show and again.document is not None and not as_json:
                from ops_platform.commands.pulse import render_terminal

                click.echo(render_terminal(again.document))
            connection.commit()
    if as_json:
        click.echo(json.dumps(answers if everything else answers[0], default=str, indent=2))
    else:
        _print(answers)
    return 0 if all(answer["same"] for answer in answers) else 1


def _every(connection: psycopg.Connection[Any]) -> list[int]:
    return [number for (number,) in connection.execute("select id from ops.documents order by id")]


def _answer(
    connection: psycopg.Connection[Any], archived: Archived, again: Replayed, output: Path | None
) -> dict[str, Any]:
    from ops_platform.writing.archive import written_by

    period = archived.bundle.period
    files = {} if again.document is None else _files(archived, again)
    answer: dict[str, Any] = {
        "document": archived.id, "job": archived.job, "kind": archived.bundle.kind,
        "period": f"{period.start} to {period.end}", "same": again.same, "problems": list(again.problems),
        "digest": archived.digest, "evidence": archived.bundle.digest, "written_by": written_by(archived),
        "claims": len(archived.document.claims), "message": _message(connection, archived, again),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }  # fmt: skip
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (output / name).write_bytes(content)
        answer["written"] = sorted(str(output / name) for name in files)
    return answer


def _files(archived: Archived, again: Replayed) -> dict[str, bytes]:
    """What the document gives as files: for reading, and those it was sent with."""
    from ops_platform.documents import html, markdown
    from ops_platform.documents.files import files_of

    assert again.document is not None
    stem = f"{archived.job}-{archived.bundle.period.start:%Y-%m-%d}-{archived.id}"
    return {
        f"{stem}.md": markdown.render(again.document).encode(),
        f"{stem}.html": html.render(again.document).encode(),
        **files_of(again.document, archived.bundle),
    }


def _message(connection: psycopg.Connection[Any], archived: Archived, again: Replayed) -> str:
    """Whether the message that was put in the outbox for it is the one it gives now: same, different, none."""
    import orjson

    from ops_platform.documents import slack
    from ops_platform.documents.kinds import message_of

    row = connection.execute(_SENT, (archived.id,)).fetchone()
    if row is None or again.document is None:
        return "none"
    posted = message_of(archived.bundle, archived.draft, again.document)
    payload = slack.render(posted)[0].payload()
    digest = hashlib.sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return "same" if digest == row[1] else "different"


def _print(answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        sign = click.style("✓", fg="green") if answer["same"] else click.style("✗", fg="red")
        what = f"document #{answer['document']}"
        if "job" not in answer:
            click.echo(f"{sign} {what}")
        else:
            same = "the same, byte for byte" if answer["same"] else "not what it was"
            click.echo(f"{sign} {what} {answer['job']} {answer['period']}: {same}")
            click.echo(
                f"  digest {answer['digest'][:16]}, evidence {answer['evidence'][:16]}, {answer['claims']} claims"
            )
            click.echo(f"  {printable(answer['written_by'])}")
            if answer["message"] != "none":
                said = "the same" if answer["message"] == "same" else "other than it would be today (newer layout)"
                click.echo(f"  its message in the outbox: {said}")
        for problem in answer["problems"]:
            click.secho(f"  {printable(problem)}", fg="red")
        for path in answer.get("written", []):
            click.echo(f"  {path}")
    if len(answers) > 1:
        good = sum(answer["same"] for answer in answers)
        click.echo(f"{good} of {len(answers)} documents are the same, byte for byte")
