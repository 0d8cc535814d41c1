"""OAuth libraries of Python, as they come. A command on the command line, and one JSON line as the answer.

    deliver ISSUER CLIENT SECRET SCOPE RESOURCE ENDPOINT   requests_oauth2client: a DPoP token, presented at the endpoint
    protect ENDPOINT ID SECRET TOKEN SCOPE                 Authlib: a resource server is shown a bearer token
"""
import json
import sys
from types import SimpleNamespace

import requests


def deliver(issuer, client_id, secret, scope, resource, endpoint):
    from requests_oauth2client import OAuth2Client

    # `testing` allows http; the addresses are on loopback.
    client = OAuth2Client.from_discovery_endpoint(
        issuer=issuer, client_id=client_id, client_secret=secret, testing=True
    )
    token = client.client_credentials(scope=scope, resource=resource, dpop=True)
    answer = requests.post(endpoint, auth=token, timeout=20)
    return {
        "status": answer.status_code,
        "answer": answer.json(),
        "token": token.access_token,
        "key": dict(token.dpop_key.private_key),
    }


def protect(endpoint, device, secret, token, scope):
    from authlib.oauth2 import OAuth2Error, ResourceProtector
    from authlib.oauth2.rfc7662 import IntrospectTokenValidator

    class Validator(IntrospectTokenValidator):
        def introspect_token(self, token_string):
            answer = requests.post(endpoint, data={"token": token_string}, auth=(device, secret), timeout=20)
            answer.raise_for_status()
            return answer.json()

    protector = ResourceProtector()
    protector.register_token_validator(Validator())
    request = SimpleNamespace(headers={"Authorization": f"Bearer {token}"})
    try:
        taken = protector.validate_request([scope], request)
    except OAuth2Error as error:
        return {"outcome": error.error}
    except requests.HTTPError as error:
        return {"outcome": "unavailable" if error.response.status_code == 503 else str(error)}
    return {"outcome": "taken", "scope": taken["scope"]}


print(json.dumps({"deliver": deliver, "protect": protect}[sys.argv[1]](*sys.argv[2:])))
