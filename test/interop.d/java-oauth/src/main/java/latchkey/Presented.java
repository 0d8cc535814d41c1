package latchkey;

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
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

/** Nimbus: a DPoP token, presented at the endpoint. The hub's answer, and the key of the token. */
record Presented(HTTPResponse answer, ECKey key) {
  /** ISSUER CLIENT SECRET SCOPE RESOURCE ENDPOINT, behind the name of the command. */
  static Presented by(String[] args) throws Exception {
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
    return new Presented(answer, key);
  }

  private static HTTPResponse present(URI endpoint, DefaultDPoPProofFactory proofs, DPoPAccessToken token, Nonce nonce)
      throws Exception {
    var request = new HTTPRequest(HTTPRequest.Method.POST, endpoint);
    request.setAuthorization(token.toAuthorizationHeader());
    request.setDPoP(proofs.createDPoPJWT("POST", endpoint, token, nonce));
    return request.send();
  }
}
