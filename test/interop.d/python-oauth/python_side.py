"""OAuth libraries of Python, as they come. A command on the command line, and one JSON line as the answer.

    deliver ISSUER CLIENT SECRET SCOPE RESOURCE ENDPOINT   requests_oauth2client: a DPoP token, presented at the endpoint
    read ISSUER CLIENT SECRET SCOPE RESOURCE ENDPOINT KEY  the same, and then FETCH temperature of the device, signed with
                                                           the key of the token (`own`) or with another one (`other`)
    protect ENDPOINT ID SECRET TOKEN SCOPE                 Authlib: a resource server is shown a bearer token
"""
import json
import secrets
import sys
import time
from base64 import urlsafe_b64decode
from types import SimpleNamespace
from urllib.parse import urljoin

import requests

HEADER_ALG, ES256 = 1, -7
HEADER_KID = 4
HEADER_NONCE = -65537
HEADER_CLIENT_NONCE = -65539
SIGN1_TAG = 18
FETCH = 5


def present(issuer, client_id, secret, scope, resource, endpoint):
    from requests_oauth2client import OAuth2Client

    # `testing` allows http; the addresses are on loopback.
    client = OAuth2Client.from_discovery_endpoint(
        issuer=issuer, client_id=client_id, client_secret=secret, testing=True
    )
    token = client.client_credentials(scope=scope, resource=resource, dpop=True)
    return token, requests.post(endpoint, auth=token, timeout=20)


def deliver(*of_token):
    _, answer = present(*of_token)
    return {"status": answer.status_code}


def settled(endpoint, answer):
    answer.raise_for_status()
    location = urljoin(endpoint, answer.headers["Location"])
    delivery = answer.json()
    while delivery["state"] == "queued":
        time.sleep(0.2)
        delivery = requests.get(location, timeout=20).json()
    if delivery["state"] != "delivered":
        raise RuntimeError(f"the delivery is {delivery}")
    return urlsafe_b64decode(delivery["token_hash"] + "=")


def signed_request(key, token_hash, nonce, audience, method, path):
    """docs/protocol.md, section 7; without a payload."""
    import cbor2
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    def encode(value):
        return cbor2.dumps(value, canonical=True)

    protected = encode({HEADER_ALG: ES256, HEADER_CLIENT_NONCE: secrets.token_bytes(8)})
    external_aad = encode(["latchkey-pop-1", nonce, token_hash, audience, method, path])
    signature = key.sign(encode(["Signature1", protected, external_aad, b""]), ECDSA(SHA256()))
    signature = b"".join(part.to_bytes(32, "big") for part in decode_dss_signature(signature))
    unprotected = {HEADER_KID: token_hash, HEADER_NONCE: nonce}
    return encode(cbor2.CBORTag(SIGN1_TAG, [protected, unprotected, b"", signature]))


def read(issuer, client_id, secret, scope, resource, endpoint, signer):
    import cbor2
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    token, answer = present(issuer, client_id, secret, scope, resource, endpoint)
    token_hash = settled(endpoint, answer)
    own = token.dpop_key.private_key.cryptography_key
    key = own if signer == "own" else generate_private_key(SECP256R1())
    device = endpoint.removesuffix("/authz-info") + "/coap"
    octets = {"Content-Type": "application/octet-stream"}
    nonce = requests.post(f"{device}/challenge", data=token_hash, headers=octets, timeout=20)
    nonce.raise_for_status()
    answer = requests.post(
        f"{device}/temperature",
        data=signed_request(key, token_hash, nonce.content, resource, FETCH, "/temperature"),
        headers={"Content-Type": 'application/cose; cose-type="cose-sign1"', "CoAP-Method": "FETCH"},
        timeout=20,
    )
    if not answer.ok:
        return {"status": answer.status_code, "code": answer.json()["code"]}
    return {
        "status": answer.status_code,
        "device_code": answer.headers["CoAP-Code"],
        "verified": answer.headers["Device-Verified"] == "true",
        "reading": cbor2.loads(answer.content),
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


print(json.dumps({"deliver": deliver, "read": read, "protect": protect}[sys.argv[1]](*sys.argv[2:])))
