package latchkey;

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.nimbusds.oauth2.sdk.AccessTokenResponse;
import com.nimbusds.oauth2.sdk.ClientCredentialsGrant;
import com.nimbusds.oauth2.sdk.Scope;
import com.nimbusds.oauth2.sdk.TokenRequest;
import com.nimbusds.oauth2.sdk.auth.ClientSecretBasic;
import com.nimbusds.oauth2.sdk.auth.Secret;
import com.nimbusds.oauth2.sdk.dpop.DefaultDPoPProofFactory;
import com.nimbusds.oauth2.sdk.http.HTTPRequest;
import com.nimbusds.oauth2.sdk.http.HTTPResponse;
import com.nimbusds.oauth2.sdk.id.ClientID;
import com.nimbusds.oauth2.sdk.id.Issuer;
import com.nimbusds.oauth2.sdk.token.DPoPAccessToken;
import com.nimbusds.openid.connect.sdk.Nonce;
import com.nimbusds.openid.connect.sdk.op.OIDCProviderMetadata;
import java.net.URI;
import java.util.Map;
import org.springframework.security.oauth2.server.resource.introspection.BadOpaqueTokenException;
import org.springframework.security.oauth2.server.resource.introspection.OAuth2IntrospectionException;
import org.springframework.security.oauth2.server.resource.introspection.SpringOpaqueTokenIntrospector;

/** OAuth libraries of Java, as they come. A command on the command line, and one JSON line as the answer. */
public class Libraries {
  public static void main(String[] args) throws Exception {
    var answer = args[0].equals("deliver") ? deliver(args) : protect(args);
    System.out.println(JSONObjectUtils.toJSONString(answer));
  }

  /** Nimbus: a DPoP token, presented at the endpoint. */
  private static Map<String, Object> deliver(String[] args) throws Exception {
    var metadata = OIDCProviderMetadata.resolve(new Issuer(args[1]));
    var key = new ECKeyGenerator(Curve.P_256).generate();
    var proofs = new DefaultDPoPProofFactory(key, JWSAlgorithm.ES256);
    var request = new TokenRequest.Builder(metadata.getTokenEndpointURI(),
        new ClientSecretBasic(new ClientID(args[2]), new Secret(args[3])), new ClientCredentialsGrant())
        .scope(Scope.parse(args[4])).resource(URI.create(args[5])).build().toHTTPRequest();
    request.setDPoP(proofs.createDPoPJWT("POST", metadata.getTokenEndpointURI()));
    var token = AccessTokenResponse.parse(request.send()).getTokens().getDPoPAccessToken();
    var endpoint = URI.create(args[6]);
    var answer = present(endpoint, proofs, token, null);
    // The first answer has the nonce of the hub (RFC 9449, section 9).
    if (answer.getStatusCode() == 401 && answer.getDPoPNonce() != null)
      answer = present(endpoint, proofs, token, answer.getDPoPNonce());
    return Map.of("status", answer.getStatusCode(), "token", token.getValue(), "key", key.toJSONObject());
  }

  private static HTTPResponse present(URI endpoint, DefaultDPoPProofFactory proofs, DPoPAccessToken token, Nonce nonce)
      throws Exception {
    var request = new HTTPRequest(HTTPRequest.Method.POST, endpoint);
    request.setAuthorization(token.toAuthorizationHeader());
    request.setDPoP(proofs.createDPoPJWT("POST", endpoint, token, nonce));
    return request.send();
  }

  /** Spring Security: a resource server is shown a bearer token. */
  private static Map<String, Object> protect(String[] args) {
    var introspector = SpringOpaqueTokenIntrospector.withIntrospectionUri(args[1])
        .clientId(args[2]).clientSecret(args[3]).build();
    try {
      var authorities = introspector.introspect(args[4]).getAuthorities();
      var taken = authorities.stream().anyMatch(given -> given.getAuthority().equals("SCOPE_" + args[5]));
      return taken ? Map.of("outcome", "taken", "scope", args[5]) : Map.of("outcome", "insufficient_scope");
    } catch (BadOpaqueTokenException inactive) {
      return Map.of("outcome", "invalid_token");
    } catch (OAuth2IntrospectionException trouble) {
      return Map.of("outcome", "unavailable");
    }
  }
}
