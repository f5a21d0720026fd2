"""Settings of the API, with their defaults and the limits that AWS sets."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypedDict

from components.common import check_choice, check_range, check_text

REQUESTS_PER_SECOND = (1, 10_000)
BURST = (1, 5_000)
"""An account's own limits, which a route's cannot exceed (API Gateway developer guide, "Quotas for configuring and
running an HTTP API")."""
LATENCY_MS = (50, 29_000)
DOMAIN = r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"
CERTIFICATE = r"arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+"


class Authorization(StrEnum):
    """The credentials that a request to the API must carry."""

    IAM = "iam"
    """A signature (Signature Version 4) by somebody who may `execute-api:Invoke`."""
    JWT = "jwt"
    """A token of the issuer for the audience."""
    API_KEY = "api_key"
    """A key of the secret, in the header `x-api-key`."""


class RecommendationApiSettings(TypedDict, total=False):
    """Settings of the API, as given under `recommender:api` in the stack's configuration."""

    authorization: Authorization
    """`iam`, `jwt` or `api_key`."""
    jwt_issuer: str
    """With `jwt`: the issuer's URL, such as `https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc`."""
    jwt_audience: Sequence[str]
    """With `jwt`: the audiences, of which a token must name one."""
    cors_origins: Sequence[str]
    """Origins whose pages may call the API, such as `https://shop.example.com`, or `*`. Without any, no page may."""
    requests_per_second: int
    """Requests a second that are let through on average, 1 to 10,000; each beyond is answered with 429."""
    burst: int
    """Requests that are let through at once, 1 to 5,000. Each may hold one of the database's connections."""
    latency_alarm_ms: int
    """The alarm's limit for the latency's 99th percentile, in milliseconds, 50 to 29,000."""
    memory_mb: int
    """Memory of the recommending function in MB, 128 to 10,240; 1,769 is one whole processor."""
    domain_name: str
    """A domain name of the shop's own, such as `api.shop.example.com`; API Gateway's address is then switched off."""
    certificate_arn: str
    """With `domain_name`: the certificate of AWS Certificate Manager for it, in the stack's region."""
    hosted_zone_id: str
    """With `domain_name`: the Route 53 zone that gets a record of it. Without one, the record is made by hand."""


API_DEFAULTS: RecommendationApiSettings = {
    "authorization": Authorization.IAM,
    "jwt_audience": [],
    "cors_origins": [],
    "requests_per_second": 50,
    "burst": 50,
    "latency_alarm_ms": 1000,
    "memory_mb": 1769,
}


def check(settings: RecommendationApiSettings) -> None:
    """Raises `ValueError` for a value that is outside of its limits or does not go with another one."""
    component = "RecommendationApi"
    check_choice(component, "authorization", settings["authorization"], list(Authorization))
    check_range(component, "requests_per_second", settings["requests_per_second"], REQUESTS_PER_SECOND)
    check_range(component, "burst", settings["burst"], BURST)
    check_range(component, "latency_alarm_ms", settings["latency_alarm_ms"], LATENCY_MS)
    for origin in settings["cors_origins"]:
        check_text(
            component, "cors_origins", origin, r"\*|https?://[^/\s]+", "origins such as https://shop.example.com"
        )
    _check_domain(component, settings)
    issuer, audience = settings.get("jwt_issuer"), settings["jwt_audience"]
    if settings["authorization"] == Authorization.JWT:
        check_text(
            component, "jwt_issuer", issuer or "", r"https://\S+", "the issuer's URL, such as https://id.example"
        )
        if not audience:
            raise ValueError(f"{component}: jwt_audience: expected one audience or more, got none")
    elif issuer or audience:
        raise ValueError(
            f"{component}: jwt_issuer, jwt_audience: expected with authorization jwt alone, got"
            f" {settings['authorization']}"
        )


def _check_domain(component: str, settings: RecommendationApiSettings) -> None:
    domain, certificate, zone = (settings.get(key, "") for key in ("domain_name", "certificate_arn", "hosted_zone_id"))
    if bool(domain) != bool(certificate):
        given, missing = ("domain_name", "certificate_arn") if domain else ("certificate_arn", "domain_name")
        raise ValueError(f"{component}: {missing}: expected beside {given}, got nothing")
    if zone and not domain:
        raise ValueError(f"{component}: hosted_zone_id: expected beside domain_name alone, got {zone!r}")
    if domain:
        # In lower case and without a wildcard: the one name becomes the API's address.
        check_text(component, "domain_name", str(domain), DOMAIN, "a name such as api.shop.example.com")
        check_text(component, "certificate_arn", str(certificate), CERTIFICATE, "the ARN of a certificate of ACM")
    if zone:
        check_text(
            component, "hosted_zone_id", str(zone), r"Z[A-Z0-9]{1,31}", "a zone's id such as Z08422512PF3UHKBHN9GE"
        )
