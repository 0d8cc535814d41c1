"""python-cwt's side: opens ours.json, printing a line for each case, and writes theirs.json for Latchkey to open."""

import json
import pathlib
import sys

import cbor2
from cwt import COSE, CWT, COSEKey, Recipient, encode_and_encrypt, encode_and_mac, encode_and_sign

SIGNATURES = ["ES256", "EdDSA"]
MACS = ["HMAC 256/64", "HMAC 256/256"]
CIPHERS = ["AES-CCM-16-64-128", "A128GCM"]
HEADER_KID = 4
HEADER_NONCE = -65537
HEADER_CLIENT_NONCE = -65539

# The same claims as on the other side, until 2100.
CLAIMS = {
    1: "https://as.example.com",
    2: "doctor-ü",
    3: "coap://tube-1",
    4: 4102444800,
    5: 1700000000,
    6: 1700000000,
    7: b"cti",
    8: {3: b"a key that the device knows"},
    9: "read write",
}


def canonical(value):
    return cbor2.dumps(value, canonical=True)


def request_aad(case):
    return canonical(
        [
            "latchkey-pop-1",
            bytes.fromhex(case["nonce"]),
            bytes.fromhex(case["tokenHash"]),
            case["audience"],
            case["method"],
            "/" + "/".join(case["path"]),
        ]
    )


def open_cwt(case):
    keys = [COSEKey.from_jwk(jwk) for jwk in case["keys"]]
    claims = CWT.new().decode(bytes.fromhex(case["cwt"]), keys)
    return canonical(claims).hex() == case["claims"]


def open_request(case):
    # The kid of a signed request is the hash of a token, so the key has to go by that name here.
    jwk = {name: value for name, value in case["keys"][0].items() if name != "kid"}
    key = COSEKey.from_jwk({**jwk, "kid": bytes.fromhex(case["tokenHash"])})
    _, unprotected, payload = COSE.new().decode_with_headers(
        bytes.fromhex(case["message"]), [key], external_aad=request_aad(case)
    )
    return payload.hex() == case["payload"] and unprotected[HEADER_NONCE].hex() == case["nonce"]


def agreement_key(jwk):
    """A P-256 key for direct ECDH, whatever it is for on the other side."""
    members = {name: jwk[name] for name in ("kty", "crv", "x", "y", "d") if name in jwk}
    return COSEKey.from_jwk({**members, "alg": "ECDH-ES+HKDF-256"})


def open_encrypted(case):
    plaintext = COSE.new().decode(
        bytes.fromhex(case["message"]),
        agreement_key(case["keys"][0]),
        context={"alg": "A128GCM"},
        external_aad=bytes.fromhex(case["externalAad"]),
    )
    return plaintext.hex() == case["payload"]


OPENERS = {"cwt": open_cwt, "signed-request": open_request, "encrypted-to": open_encrypted}


def open_all(cases):
    good = len(cases) > 0
    for case in cases:
        try:
            opened = OPENERS[case["kind"]](case)
            found = "open" if opened else "opened with other content"
        except Exception as error:  # Whatever it raises is a refusal here.
            found = f"refuse: {type(error).__name__}: {error}"
        passed = found == case["expect"] or (case["expect"] == "refuse" and found.startswith("refuse: "))
        good = good and passed
        detail = "" if passed and found == "open" else f" ({found})"
        print(f"{'ok' if passed else 'not ok'} latchkey to python-cwt: {case['name']}{detail}")
    return good


def flipped(data, at):
    copy = bytearray(data)
    copy[at] ^= 1
    return bytes(copy)


def protect(claims, algorithm, key, tagged=False):
    if algorithm in SIGNATURES:
        return encode_and_sign(claims, key, tagged=tagged)
    if algorithm in MACS:
        return encode_and_mac(claims, key, tagged=tagged)
    return encode_and_encrypt(claims, key, tagged=tagged)


def kind_of(algorithm):
    return "sign1" if algorithm in SIGNATURES else "mac0" if algorithm in MACS else "encrypt0"


def other(algorithm):
    for pair in (SIGNATURES, MACS, CIPHERS):
        if algorithm in pair:
            return pair[1 - pair.index(algorithm)]
    raise ValueError(algorithm)


def foreign(opening, algorithm):
    """The same kid, and the same secret where there is one, under another algorithm."""
    jwk = dict(opening[other(algorithm)])
    jwk["kid"] = opening[algorithm]["kid"]
    if "k" in jwk:
        jwk["k"] = opening[algorithm]["k"]
    return jwk


def cwt_cases(keys):
    making = {name: COSEKey.from_jwk(jwk) for name, jwk in keys["making"].items()}
    opening, strangers = keys["opening"], keys["strangers"]
    wrappings = [[name] for name in SIGNATURES + MACS + CIPHERS]
    wrappings += [[inner, outer] for inner in SIGNATURES + MACS for outer in CIPHERS]
    for wrapping in wrappings:
        wrap = "+".join(kind_of(name) for name in wrapping)
        label = f"{wrap} with {' in '.join(wrapping)}"
        right = [opening[name] for name in wrapping]

        def make(tagged):
            message = dict(CLAIMS)
            for index, name in enumerate(wrapping):
                message = protect(message, name, making[name], tagged and index == len(wrapping) - 1)
            return message

        def case(name, cwt, expect, with_keys=None):
            return {
                "kind": "cwt",
                "name": f"{label}, {name}",
                "cwt": cwt.hex(),
                "keys": with_keys or right,
                "expect": expect,
                "claims": canonical(CLAIMS).hex(),
                "wrap": wrap,
            }

        cwt = make(False)
        yield case("without tag 61", cwt, "open")
        yield case("with tag 61", make(True), "open")
        yield case("last byte changed", flipped(cwt, len(cwt) - 1), "refuse")
        yield case("a byte in its middle changed", flipped(cwt, len(cwt) // 2), "refuse")
        yield case("cut short", cwt[:-1], "refuse")
        for index, name in enumerate(wrapping):
            stranger = right[:index] + [strangers[name]] + right[index + 1 :]
            yield case(f"another {name} key", cwt, "refuse", stranger)
            wrong = right[:index] + [foreign(opening, name)] + right[index + 1 :]
            yield case(f"its {name} key for another algorithm", cwt, "refuse", wrong)


def refused_cases(keys):
    """What python-cwt can make and Latchkey does not speak."""
    secret = keys["opening"]["HMAC 256/256"]
    long_key = COSEKey.from_symmetric_key(alg="HS512", kid=secret["kid"])
    float_claims = {**CLAIMS, 6: 1700000000.5}
    mac_key = COSEKey.from_jwk(keys["making"]["HMAC 256/256"])
    outer = COSEKey.from_jwk(keys["making"]["A128GCM"])
    twice = encode_and_encrypt(encode_and_encrypt(dict(CLAIMS), outer), outer)
    for name, cwt in (
        ("HMAC 512/512", encode_and_mac(dict(CLAIMS), long_key)),
        ("a date with a fraction", encode_and_mac(float_claims, mac_key)),
        ("encrypted twice", twice),
    ):
        yield {
            "kind": "cwt",
            "name": name,
            "cwt": cwt.hex(),
            "keys": [secret, keys["opening"]["A128GCM"]],
            "expect": "refuse",
            "claims": "",
            "wrap": "mac0",
        }


def request_cases(keys):
    for algorithm in SIGNATURES + MACS:
        target = {
            "nonce": "00112233445566778899aabbccddeeff",
            "tokenHash": "0011223344556677",
            "audience": "coap://tube-1",
            "method": 5,
            "path": ["temperature", "now"],
        }
        key = COSEKey.from_jwk(keys["making"][algorithm])
        unprotected = {HEADER_KID: bytes.fromhex(target["tokenHash"]), HEADER_NONCE: bytes.fromhex(target["nonce"])}
        protected = {1: key.alg, HEADER_CLIENT_NONCE: bytes(range(8))}
        encode = COSE.new().encode_and_sign if algorithm in SIGNATURES else COSE.new().encode_and_mac
        message = encode(b"{}", key, protected, unprotected, external_aad=request_aad(target))

        def case(name, expect, change=None, bytes_=message, jwk=None):
            return {
                "kind": "signed-request",
                "name": f"signed request with {algorithm}, {name}",
                "message": bytes_.hex(),
                "keys": [jwk or keys["opening"][algorithm]],
                "expect": expect,
                "payload": b"{}".hex(),
                **target,
                **(change or {}),
            }

        yield case("for its resource", "open")
        yield case("for another path", "refuse", {"path": ["temperature"]})
        yield case("for another method", "refuse", {"method": 1})
        yield case("last byte changed", "refuse", bytes_=flipped(message, len(message) - 1))
        yield case("under another key", "refuse", jwk=keys["strangers"][algorithm])


def encrypted_cases(keys):
    private = keys["making"]["ES256"]
    public = {name: value for name, value in private.items() if name != "d"}
    aad = b"the context"
    recipient = Recipient.new(
        protected={1: -25}, unprotected={}, recipient_key=agreement_key(public), context={"alg": "A128GCM"}
    )
    message = COSE.new().encode_and_encrypt(b"a key for two", None, {1: 1}, {}, recipients=[recipient], external_aad=aad)

    def case(name, expect, bytes_=message, key=private, aad_=aad):
        return {
            "kind": "encrypted-to",
            "name": f"encrypted to a P-256 key, {name}",
            "message": bytes_.hex(),
            "keys": [key],
            "externalAad": aad_.hex(),
            "expect": expect,
            "payload": b"a key for two".hex(),
        }

    yield case("for its recipient", "open")
    yield case("a byte of its content changed", "refuse", flipped(message, 30))
    yield case("in another context", "refuse", aad_=b"another")


def main():
    folder = pathlib.Path(sys.argv[1])
    good = open_all(json.loads((folder / "ours.json").read_text(encoding="utf-8")))
    keys = json.loads((folder / "keys.json").read_text(encoding="utf-8"))
    theirs = [*cwt_cases(keys), *refused_cases(keys), *request_cases(keys), *encrypted_cases(keys)]
    (folder / "theirs.json").write_text(json.dumps(theirs, indent=1), encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
