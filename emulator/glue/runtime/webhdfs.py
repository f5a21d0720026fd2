"""A WebHDFS server over S3, on loopback, by which Spark's `s3://` paths reach S3.

Hadoop's own S3 client is not part of PySpark. The WebHDFS client is ("WebHDFS REST API", Hadoop 3.3 documentation), and
Hadoop's `ViewFileSystemOverloadScheme` mounts `s3://<bucket>` over it. A caller must know the secret that paths begin
with.
"""

import json
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from .s3_files import DeniedError, NotFoundError, S3Files, Status

_URL_CHARACTERS = "/?&=%:+,;@!$'()*~"
_BLOCK_BYTES = 128 * 1024 * 1024
_JAVA_ERRORS = {
    "FileNotFoundException": (404, "java.io.FileNotFoundException"),
    "AccessControlException": (403, "org.apache.hadoop.security.AccessControlException"),
    "UnsupportedOperationException": (400, "java.lang.UnsupportedOperationException"),
}


class Gateway:
    """Serves `files` until the process ends. `root` is the Hadoop URI that all buckets lie below."""

    def __init__(self, files: S3Files) -> None:
        secret = secrets.token_urlsafe(16)
        handler = type("Handler", (_Handler,), {"files": files, "root": f"/webhdfs/v1/{secret}/"})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="s3-gateway", daemon=True).start()
        self.root = f"webhdfs://127.0.0.1:{self._server.server_address[1]}/{secret}"


class _Handler(BaseHTTPRequestHandler):
    files: S3Files
    root: str
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve(
            {
                "GETFILESTATUS": self._status,
                "LISTSTATUS": self._list,
                "OPEN": self._open,
                "GET_BLOCK_LOCATIONS": self._block_locations,
            }
        )

    def do_PUT(self) -> None:
        self._serve({"CREATE": self._create, "MKDIRS": self._mkdirs, "RENAME": self._rename})

    def do_DELETE(self) -> None:
        self._serve({"DELETE": self._delete})

    def log_message(self, format: str, *args: object) -> None:
        """Writes nothing: the log belongs to the job."""

    def _serve(self, operations: dict[str, Any]) -> None:
        # Java's client sends a name's UTF-8 unescaped; the server's library has read it as Latin-1.
        url = urlsplit(self.path.encode("latin-1").decode(errors="replace"))
        path, self.query = unquote(url.path), {key: values[0] for key, values in parse_qs(url.query).items()}
        operation = operations.get(self.query.get("op", ""))
        try:
            if self.query.get("op") == "GETHOMEDIRECTORY":  # Hadoop sends this request without the secret
                self._json({"Path": "/"})
            elif not path.startswith(self.root):
                self._error("AccessControlException", "this gateway is the Glue job's own")
            elif operation is None:
                self._error("UnsupportedOperationException", f"{self.command} {self.query.get('op')} on S3")
            else:
                operation(path.removeprefix(self.root).rstrip("/"))
        except NotFoundError as error:
            self._error("FileNotFoundException", f"File does not exist: {error}")
        except DeniedError as error:
            self._error("AccessControlException", str(error))

    def _status(self, path: str) -> None:
        self._json({"FileStatus": _hadoop_status(self.files.status(path))})

    def _list(self, path: str) -> None:
        self._json({"FileStatuses": {"FileStatus": [_hadoop_status(status) for status in self.files.children(path)]}})

    def _block_locations(self, path: str) -> None:
        """Returns no block locations: an object is not nearer to one machine than to another."""
        none = {"fileLength": 0, "isUnderConstruction": False, "locatedBlocks": [], "isLastBlockComplete": True}
        self._json({"LocatedBlocks": none | {"lastLocatedBlock": None}})

    def _open(self, path: str) -> None:
        length = self.query.get("length")
        chunks = self.files.open(path, int(self.query.get("offset", 0)), None if length is None else int(length))
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            if chunk:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def _create(self, path: str) -> None:
        if "data" not in self.query:  # in the protocol's first step the client asks where to write
            place = quote(self.path.encode("latin-1"), safe=_URL_CHARACTERS)
            self._answer(307, b"", {"Location": f"http://{self.headers['Host']}{place}&data=true"})
            return
        content = self.files.spool()
        size = sum(content.write(chunk) for chunk in self._body())
        self.files.create(path, content, size)
        self._answer(201, b"")

    def _mkdirs(self, path: str) -> None:
        self.files.make_folder(path)
        self._json({"boolean": True})

    def _rename(self, path: str) -> None:
        target = self.query["destination"].removeprefix("/" + self.root.split("/", 3)[3]).rstrip("/")
        self._json({"boolean": self.files.rename(path, target)})

    def _delete(self, path: str) -> None:
        self._json({"boolean": self.files.delete(path, self.query.get("recursive") == "true")})

    def _body(self) -> Iterator[bytes]:
        """Yields the request's body chunk by chunk. Raises `ConnectionError` if it breaks off: then no file is made."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield _exactly(self.rfile, int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline(64).split(b";")[0] or b"bad", 16):
            yield _exactly(self.rfile, size)
            self.rfile.readline(2)
        self.rfile.readline(2)

    def _json(self, document: object) -> None:
        self._answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _error(self, exception: str, message: str) -> None:
        status, java_name = _JAVA_ERRORS[exception]
        document = {"RemoteException": {"exception": exception, "javaClassName": java_name, "message": message}}
        self._answer(status, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _exactly(stream: BufferedIOBase, size: int) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise ConnectionError(f"the upload broke off: expected {size} bytes more, found {len(content)}")
    return content


def _hadoop_status(status: Status) -> dict[str, object]:
    return {
        "pathSuffix": status.name,
        "type": "DIRECTORY" if status.is_folder else "FILE",
        "length": status.size,
        "modificationTime": status.modified,
        "accessTime": 0,
        "blockSize": 0 if status.is_folder else _BLOCK_BYTES,
        "replication": 0 if status.is_folder else 1,
        "permission": "755" if status.is_folder else "644",
        "owner": "job",
        "group": "job",
    }
