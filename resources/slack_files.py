"""Files in Slack: each handed over by the three steps Slack asks for, shown once.

Belongs here: asking for an address, sending the bytes there, and completing; recognising files that were shown. Does
not belong here: which failure of a method means what, messages (`slack_posting.py`), what a file is
(`documents/files.py`).

    files.getUploadURLExternal   gives an address and the file's id; nobody sees anything
    POST of the bytes            nobody sees anything yet; Slack forgets what is never completed
    files.completeUploadExternal shows all files of a message at once: the only step with an effect

So the ids are on record before the third step, and a message that shows one of them is the message we look for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ops_platform.failpoints import failpoint
from ops_platform.failures import ConfigurationError, PermanentFailure, TransientFailure

if TYPE_CHECKING:
    from ops_platform.delivery.files import Carried

#: Gives the bytes of files, in order.
Contents = Callable[[Sequence["Carried"]], list[bytes]]
#: Slack takes a gigabyte; what a document makes is far smaller, and it is held in memory.
MOST_BYTES = 100 * 1024 * 1024
UPLOAD_SECONDS = 60.0


def upload(call: Callable[..., dict[str, Any]], files: Sequence[Carried], contents: Contents, origin: str) -> list[str]:
    """The first two steps for each file; gives the files' ids. Nothing is shown yet, so no failure is unclear.

    `call` is a method of Slack's without an effect; `origin` is scheme and host of Slack's own address."""
    if sum(file.size for file in files) > MOST_BYTES:
        raise PermanentFailure(f"files of more than {MOST_BYTES // 1024 // 1024} MB are not sent")
    ids = []
    for file, content in zip(files, contents(files), strict=True):
        given = call("files.getUploadURLExternal", params={"filename": file.name, "length": len(content)})
        url, file_id = given.get("upload_url"), given.get("file_id")
        if not isinstance(url, str) or not isinstance(file_id, str) or not file_id:
            raise TransientFailure("Slack files.getUploadURLExternal: no address to send the file to")
        _send(_checked(url, origin), file.name, content)
        failpoint("slack.uploaded")
        ids.append(file_id)
    return ids


def completion(files: Sequence[Carried], ids: Sequence[str], channel: str, text: str, thread: str | None) -> Any:
    """The arguments of the third step."""
    titled = [{"id": file_id, "title": file.name} for file, file_id in zip(files, ids, strict=True)]
    shown = {"files": titled, "channel_id": channel, "initial_comment": text}
    return shown | ({"thread_ts": thread} if thread else {})


def shows(message: Mapping[str, Any], file_id: str) -> bool:
    """Whether a message of a channel shows the file."""
    files = message.get("files")
    return isinstance(files, list) and any(isinstance(one, dict) and one.get("id") == file_id for one in files)


def _checked(url: str, origin: str) -> str:
    """The address, if it is Slack's: our files go nowhere else, whatever an answer says."""
    parts, own = urlsplit(url), urlsplit(origin)
    same = (parts.scheme, parts.netloc) == (own.scheme, own.netloc)
    slacks = parts.scheme == "https" and (parts.hostname or "").endswith(".slack.com") and not parts.username
    if not (same or (slacks and (own.hostname or "").endswith("slack.com"))):
        raise PermanentFailure(f"Slack named an address that is not its own: {parts.scheme}://{parts.netloc}")
    return url


def _send(url: str, name: str, content: bytes) -> None:
    from urllib3.exceptions import HTTPError

    from resources.http_transport import Transport, Unusable

    what = f"Slack, sending {name}"
    try:
        transport = Transport(url, UPLOAD_SECONDS)
    except Unusable as error:
        raise ConfigurationError(f"{what}: {error}") from None
    try:
        with transport.exchange("POST", url, {"Content-Type": "application/octet-stream"}, content) as answer:
            status = answer.status
    except HTTPError as error:
        # Not what it says: that can be the address, which is a credential.
        raise TransientFailure(f"{what}: {type(error).__name__}") from None
    finally:
        transport.close()
    if status == 200:
        return
    said = f"{what}: HTTP {status}"
    if status >= 500 or status in (408, 429):
        raise TransientFailure(said)
    raise PermanentFailure(said)
