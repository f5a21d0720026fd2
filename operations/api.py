"""Asks the recommendation API from the command line: `python -m operations recommend --customer 103`."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session

from operations import run_note
from operations.run_note import NoRunError

KEY_VARIABLE, TOKEN_VARIABLE = "RECOMMENDER_API_KEY", "RECOMMENDER_API_TOKEN"
"""The variables with the key or the token for an API that requires one; other users of a machine can see command
lines."""
SECONDS = 35
"""Seconds that an answer may take; API Gateway itself gives up after 30."""


class ApiError(Exception):
    """The API cannot be asked, or refuses; the text says what was expected and what was found."""


@dataclass(frozen=True)
class Answer:
    """An answer of the API."""

    status: int
    json: Any
    headers: Mapping[str, str]


class Client:
    """Sends requests to one API. `url` is the stack's output `api_url`. A request carries a key, else a token, else a
    signature.

    `signer` is botocore's session with the credentials and the region to sign with (default: AWS's usual variables).
    """

    def __init__(
        self, url: str, environment: Mapping[str, str] = os.environ, signer: botocore.session.Session | None = None
    ) -> None:
        self._url = url.rstrip("/")
        self._environment = environment
        self._signer = signer or botocore.session.get_session()
        verify: Any = environment.get("AWS_CA_BUNDLE") or True
        self._session = URLLib3Session(verify=verify, timeout=SECONDS)

    def ask(self, path: str, query: Sequence[tuple[str, Any]] = (), body: Any = None) -> Answer:
        """Sends a GET, or a POST where there is a body. Raises `ApiError` if nothing, or no JSON, comes back."""
        address = self._url + path + (f"?{urlencode(list(query), quote_via=quote)}" if query else "")
        data, headers = (None, {}) if body is None else (json.dumps(body), {"content-type": "application/json"})
        request = AWSRequest("GET" if body is None else "POST", address, data=data, headers=headers)
        self._authorize(request)
        try:
            response = self._session.send(request.prepare())
            return Answer(response.status_code, json.loads(response.content), response.headers)
        except (HTTPClientError, ValueError) as error:
            raise ApiError(f"{self._url}: expected an answer in JSON, found: {error}") from error

    def _authorize(self, request: AWSRequest) -> None:
        if key := self._environment.get(KEY_VARIABLE):
            request.headers["x-api-key"] = key
        elif token := self._environment.get(TOKEN_VARIABLE):
            request.headers["authorization"] = f"Bearer {token}"
        else:
            self._sign(request)

    def _sign(self, request: AWSRequest) -> None:
        credentials, region = self._signer.get_credentials(), self._signer.get_config_variable("region")
        if credentials is None or region is None:
            raise ApiError(
                f"expected {KEY_VARIABLE}, {TOKEN_VARIABLE}, or AWS credentials and a region to sign with, found none"
            )
        SigV4Auth(credentials, "execute-api", region).add_auth(request)


def add_address(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which API is asked."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", help="the API's address: `pulumi stack output api_url`")
    where.add_argument("--run", type=Path, help="folder of a local run that is still up")


def address_of(chosen: argparse.Namespace) -> str:
    """Returns the API's address; of a local run, whose credentials it also takes. Raises `NoRunError`."""
    if not chosen.run:
        return str(chosen.url)
    note = run_note.read(chosen.run)
    os.environ.update(note["environment"])
    return str(note["api_url"])


def command(name: str) -> Callable[[Sequence[str]], int]:
    """Returns the command line of `recommend`, `similar` or `popular`."""
    return lambda arguments: _main(name, arguments)


def _main(name: str, arguments: Sequence[str]) -> int:
    chosen = _parser(name).parse_args(arguments)
    try:
        url = address_of(chosen)
        path, query = _request(name, chosen)
        answer = Client(url).ask(path, query)
    except (ApiError, NoRunError) as error:
        print(error, file=sys.stderr)
        return 1
    if answer.status != 200:
        found = answer.json.get("detail") or answer.json.get("message")
        print(f"{url}{path}: expected status 200, found {answer.status}: {found}", file=sys.stderr)
        return 1
    print(json.dumps(answer.json, indent=2) if chosen.json else "\n".join(_lines(answer.json)))
    return 0


def _request(name: str, chosen: argparse.Namespace) -> tuple[str, list[tuple[str, Any]]]:
    query: list[tuple[str, Any]] = [("limit", chosen.limit)] + [("exclude", item) for item in chosen.exclude]
    query += [("filter", pair) for pair in chosen.filter]
    query += [("diversity", chosen.diversity)] if chosen.diversity is not None else []
    query += [("explain", "true")] if chosen.explain else []
    if name == "recommend":
        customer = [("customer", chosen.customer)] if chosen.customer else []
        return "/v1/recommendations", [*customer, *(("items", item) for item in chosen.items), *query]
    if name == "similar":
        return f"/v1/items/{quote(chosen.item, safe='')}/similar", query
    return "/v1/popular", query


def _lines(answer: Mapping[str, Any]) -> list[str]:
    head = f"{answer['strategy']}, by version {answer['model_version']}, recommendation {answer['recommendation_id']}"
    lines = [head, *(f"{item['score']:9.6f}  {item['id']}{_name(item)}" for item in answer["items"])]
    if "explain" in answer:
        told = answer["explain"]
        lines.append(f"rules {told['rules_version'] or '(none)'}: {', '.join(told['rules']) or 'none applied'}")
        lines += [f"a later file of rules is not in force: {told['problem']}"] if "problem" in told else []
        lines += [f"{item['id']}: {', '.join(item['rules'])}" for item in answer["items"] if item["rules"]]
    return lines


def _name(item: Mapping[str, Any]) -> str:
    """The label `name` of `[items.display]`, if the dataset has one."""
    return f"  {item['attributes']['name']}" if "name" in item["attributes"] else ""


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m operations {name}", description=(__doc__ or "").splitlines()[0])
    add_address(parser)
    if name == "recommend":
        parser.add_argument("--customer", metavar="ID", help="the customer (default: a visitor whom nobody knows)")
        parser.add_argument("--items", nargs="*", default=[], metavar="ID", help="the visit, the latest item last")
    if name == "similar":
        parser.add_argument("item", metavar="ITEM", help="the item's key in the shop's database")
    parser.add_argument("--exclude", nargs="*", default=[], metavar="ID", help="items to leave out")
    parser.add_argument("--filter", nargs="*", default=[], metavar="ATTRIBUTE:VALUE", help="only items with this value")
    parser.add_argument("--diversity", type=float, metavar="D", help="from 0 to 1 (default: as the rules say)")
    parser.add_argument("--explain", action="store_true", help="name the rules that made the answer")
    parser.add_argument("--limit", type=int, default=10, metavar="N", help="how many (default: 10)")
    parser.add_argument("--json", action="store_true", help="print the answer as it came")
    return parser
