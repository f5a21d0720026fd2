"""docs/api.md ends with the reference that is made from the OpenAPI document."""

from emulator.program import ROOT
from local.api_page import reference


def test_the_documented_reference_is_made_from_the_contract() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    assert page.endswith(f"## Reference\n\n{reference()}"), (
        "docs/api.md: put the output of `python -m local api` behind ## Reference"
    )
