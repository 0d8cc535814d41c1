package latchkey;

import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jose.util.Base64URL;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.upokecenter.cbor.CBORObject;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.security.Signature;
import java.util.Map;

/** Has a token delivered and reads the temperature of the device by a signed request (docs/protocol.md, section 7). */
final class DeviceReader {
  private static final int ES256 = -7;
  private static final int KID = 4;
  private static final int NONCE = -65537;
  private static final int CLIENT_NONCE = -65539;
  private static final int SIGN1 = 18;
  private static final int FETCH = 5;
  private static final HttpClient HTTP = HttpClient.newHttpClient();

  static Map<String, Object> read(Presented presented, String audience, String endpoint, boolean isOwn)
      throws Exception {
    var tokenHash = settled(presented, URI.create(endpoint));
    var key = isOwn ? presented.key() : new ECKeyGenerator(Curve.P_256).generate();
    var device = endpoint.substring(0, endpoint.length() - "/authz-info".length()) + "/coap/";
    var nonce = post(device + "challenge", tokenHash, "Content-Type", "application/octet-stream").body();
    var answer = post(device + "temperature", signed(key, tokenHash, nonce, audience),
        "Content-Type", "application/cose; cose-type=\"cose-sign1\"", "CoAP-Method", "FETCH");
    if (answer.statusCode() != 200)
      return Map.of("status", answer.statusCode(), "code", json(answer.body()).get("code"));
    var headers = answer.headers();
    return Map.of("status", 200, "device_code", headers.firstValue("CoAP-Code").orElseThrow(),
        "verified", headers.firstValue("Device-Verified").orElseThrow().equals("true"),
        "reading", JSONObjectUtils.parse(CBORObject.DecodeFromBytes(answer.body()).ToJSONString()));
  }

  /** The hash that names the token, once the device has it. */
  private static byte[] settled(Presented presented, URI endpoint) throws Exception {
    var location = endpoint.resolve(presented.answer().getLocation());
    Map<String, Object> delivery = presented.answer().getBodyAsJSONObject();
    while (delivery.get("state").equals("queued")) {
      Thread.sleep(200);
      delivery = json(HTTP.send(HttpRequest.newBuilder(location).build(), BodyHandlers.ofByteArray()).body());
    }
    if (!delivery.get("state").equals("delivered")) throw new IllegalStateException("the delivery is " + delivery);
    return new Base64URL((String) delivery.get("token_hash")).decode();
  }

  private static byte[] signed(ECKey key, byte[] tokenHash, byte[] nonce, String audience) throws Exception {
    var clientNonce = new byte[8];
    new SecureRandom().nextBytes(clientNonce);
    var sealed = CBORObject.NewOrderedMap().Add(1, ES256).Add(CLIENT_NONCE, clientNonce).EncodeToBytes();
    var bound = CBORObject.NewArray().Add("latchkey-pop-1").Add(nonce).Add(tokenHash).Add(audience).Add(FETCH)
        .Add("/temperature").EncodeToBytes();
    var signature = Signature.getInstance("SHA256withECDSAinP1363Format");
    signature.initSign(key.toPrivateKey());
    signature.update(CBORObject.NewArray().Add("Signature1").Add(sealed).Add(bound).Add(new byte[0]).EncodeToBytes());
    var open = CBORObject.NewOrderedMap().Add(KID, tokenHash).Add(NONCE, nonce);
    return CBORObject.NewArray().Add(sealed).Add(open).Add(new byte[0]).Add(signature.sign()).WithTag(SIGN1)
        .EncodeToBytes();
  }

  private static HttpResponse<byte[]> post(String address, byte[] body, String... headers) throws Exception {
    var request = HttpRequest.newBuilder(URI.create(address)).headers(headers).POST(BodyPublishers.ofByteArray(body));
    return HTTP.send(request.build(), BodyHandlers.ofByteArray());
  }

  private static Map<String, Object> json(byte[] body) throws Exception {
    return JSONObjectUtils.parse(new String(body, StandardCharsets.UTF_8));
  }
}
