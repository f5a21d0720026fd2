"""A domain name of the shop's own for the API, in place of the one that API Gateway makes up.

API Gateway developer guide, "Custom domain names for HTTP APIs" and "Disable the default endpoint for HTTP APIs".
"""

import pulumi
import pulumi_aws as aws

from components.api_settings import RecommendationApiSettings
from components.common import Component


def serve_under_domain(
    component: Component, name: str, settings: RecommendationApiSettings, stage: aws.apigatewayv2.Stage
) -> pulumi.Output[str]:
    """Makes the domain name, and its record where the settings name a hosted zone. Returns the API's URL."""
    domain = aws.apigatewayv2.DomainName(
        f"{name}-domain",
        domain_name=settings["domain_name"],
        domain_name_configuration={
            "certificate_arn": settings["certificate_arn"],
            "endpoint_type": "REGIONAL",
            "security_policy": "TLS_1_2",
        },
        tags=component.tags,
        opts=component.child,
    )
    mapping = aws.apigatewayv2.ApiMapping(
        f"{name}-mapping", api_id=stage.api_id, domain_name=domain.id, stage=stage.name, opts=component.child
    )
    if zone := settings.get("hosted_zone_id"):
        target = domain.domain_name_configuration
        aws.route53.Record(
            f"{name}-record",
            zone_id=zone,
            name=settings["domain_name"],
            type="A",
            aliases=[
                {
                    "name": target.target_domain_name,
                    "zone_id": target.hosted_zone_id,
                    "evaluate_target_health": False,
                }
            ],
            opts=component.child,
        )
    # Known once the mapping is there, so that nobody is given an address that answers with 403.
    return pulumi.Output.concat("https://", mapping.domain_name)
