import pytest

from friendlyfl.client.address import parse_address
from friendlyfl.core.errors import UsageError
from friendlyfl.wire.invitation import normalise_address


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("fl.example.org", "https://fl.example.org"),
        ("  https://FL.Example.org/ ", "https://fl.example.org"),
        ("fl.example.org:8443", "https://fl.example.org:8443"),
        ("https://fl.example.org:443", "https://fl.example.org"),
        ("https://fl.example.org/friendlyfl/api/v1/", "https://fl.example.org"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost:80/", "http://localhost"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://krankenhäuser.example", "https://xn--krankenhuser-ncb.example"),
    ],
)
def test_what_people_type_becomes_one_address_that_the_invitation_code_hashes_too(typed, url):
    assert parse_address(typed).url == url == normalise_address(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "https://",
        "ftp://fl.example.org",
        "https://fl.example.org/elsewhere",
        "https://user:secret@fl.example.org",
        "https://fl.example.org:99999",
        "https://fl.example.org?x=1",
        "https://fl example.org",
        "https://fl.example.org\r\nHost: evil",
        "https://fl_ö..example",
        "http://[::1",
    ],
)
def test_anything_else_is_refused_with_an_example(typed):
    with pytest.raises(UsageError) as caught:
        parse_address(typed)
    assert caught.value.code == "router_address"
    assert "https://fl.example.org" in caught.value.message
    assert "\r" not in caught.value.message
    assert "secret" not in caught.value.message


def test_plain_http_is_for_loopback_or_for_the_inside_of_one_machine():
    with pytest.raises(UsageError, match="unprotected") as caught:
        parse_address("http://router:8000")
    assert caught.value.code == "plain_http"
    assert parse_address("http://router:8000", plain_inside=True).url == "http://router:8000"
    with pytest.raises(UsageError):
        parse_address("http://127.0.0.1.evil.example")
