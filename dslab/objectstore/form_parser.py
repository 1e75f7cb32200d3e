"""multipart/form-data, as it comes: fields are kept, the file's bytes are handed on.

Source: RFC 7578; the documentation of python-multipart.
"""

from __future__ import annotations

from email.message import Message

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from dslab.objectstore.errors import S3Error

MAX_FIELDS_BYTES = 64 * 1024


class FormParser:
    """Takes a form apart. The file is the part called ``file``; what comes after it is ignored.

    Attributes:
        fields: The fields before the file; names in lower case.
        filename: What the file was called, without folders; None if that was not said.
        in_file: Whether the file has begun.
        ended: Whether the file has ended.
        file_bytes: How much of the file waits to be taken.
    """

    def __init__(self, boundary: bytes) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.in_file = False
        self.ended = False
        self.file_bytes = 0
        self._file: list[bytes] = []
        self._head: list[tuple[bytes, bytes]] = []
        self._header = [b"", b""]
        self._name = ""
        self._value = b""
        self._fields_bytes = 0
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
            },
        )

    @classmethod
    def of(cls, content_type: str) -> FormParser:
        """Begin to parse a body of that type.

        Raises:
            S3Error: PreconditionFailed, it is no form; MalformedPOSTRequest, it has no boundary.
        """
        message = Message()
        message["content-type"] = content_type
        if message.get_content_type() != "multipart/form-data":
            condition = "Bucket POST must be of the enclosure-type multipart/form-data"
            raise S3Error("PreconditionFailed", Condition=condition)
        try:
            boundary = message.get_boundary("")
        except UnicodeError as error:  # it names its charset, and is none in that
            raise S3Error("MalformedPOSTRequest") from error
        if not boundary or len(boundary) > 200:
            raise S3Error("MalformedPOSTRequest")
        return cls(boundary.encode("latin-1", "replace"))

    def feed(self, data: bytes) -> None:
        """Take some of the body.

        Raises:
            S3Error: MalformedPOSTRequest; MaxMessageLengthExceeded, the fields are too long.
        """
        try:
            self._parser.write(data)
        except (FormParserError, UnicodeDecodeError) as error:
            raise S3Error("MalformedPOSTRequest") from error

    def file_data(self) -> bytes:
        """Take what has come of the file."""
        data, self._file, self.file_bytes = b"".join(self._file), [], 0
        return data

    def _on_part_begin(self) -> None:
        self._head = []
        self._value = b""
        self._name = ""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._header[0] += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._header[1] += data[start:end]

    def _on_header_end(self) -> None:
        self._head.append((self._header[0].lower(), self._header[1]))
        self._header = [b"", b""]

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(dict(self._head).get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode().lower()
        if self._name == "file" and not self.in_file:
            self.in_file = True
            if (name := options.get(b"filename")) is not None:
                self.filename = name.decode().replace("\\", "/").rpartition("/")[2]

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == "file" and not self.ended:
            self._file.append(data[start:end])
            self.file_bytes += end - start
        elif not self.in_file:
            self._count(end - start)
            self._value += data[start:end]

    def _on_part_end(self) -> None:
        if self._name == "file":
            self.ended = True
        elif not self.in_file:
            self.fields[self._name] = self._value.decode()

    def _count(self, size: int) -> None:
        self._fields_bytes += size
        if self._fields_bytes > MAX_FIELDS_BYTES:
            raise S3Error("MaxMessageLengthExceeded")
