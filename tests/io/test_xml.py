"""Gates of other programs bring no entities."""

from __future__ import annotations

import pytest

from bayesdecov.errors import InputError
from bayesdecov.io.xml import check_xml

LAUGHS = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">
<!ENTITY lol2 "&lol;&lol;&lol;&lol;">]><a>&lol2;</a>"""
OTHER_FILE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'


@pytest.mark.parametrize(
    ("content", "said"),
    [(LAUGHS.encode(), "document type"), (OTHER_FILE.encode(), "document type"),
     (OTHER_FILE.encode("utf-16"), "document type"), (b"<a>" * 5000, "nested elements"),
     (b"", "no element"), (b"<a></b>", "mismatched"), (b"\x00\x01", "not well-formed|no element"),
     (b"<!DOCTYPE a SYSTEM 'http://x'><a/>", "document type")],
)  # fmt: skip
def test_what_is_refused(content, said, tmp_path):
    (tmp_path / "g.xml").write_bytes(content)
    with pytest.raises(InputError, match=f"hierarchy: .*({said})"):
        check_xml(tmp_path / "g.xml", "hierarchy")


def test_plain_xml_passes(tmp_path):
    (tmp_path / "g.xml").write_text('<?xml version="1.0"?><a><b x="&lt;"/></a>')
    check_xml(tmp_path / "g.xml", "hierarchy")
