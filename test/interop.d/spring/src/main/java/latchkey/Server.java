package latchkey;

import java.util.List;
import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.ClientAuthenticationMethod;
import org.springframework.security.oauth2.server.authorization.OAuth2TokenType;
import org.springframework.security.oauth2.server.authorization.client.InMemoryRegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClient;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.settings.OAuth2TokenFormat;
import org.springframework.security.oauth2.server.authorization.settings.TokenSettings;
import org.springframework.security.oauth2.server.authorization.token.JwtEncodingContext;
import org.springframework.security.oauth2.server.authorization.token.OAuth2TokenClaimsContext;
import org.springframework.security.oauth2.server.authorization.token.OAuth2TokenCustomizer;

/** Spring Authorization Server as Spring Boot sets it up, with the customizer of docs/servers.md. */
@SpringBootApplication
public class Server {
  private static final String TUBE = "https://tube-1.devices.example";
  private static final String EKG = "https://ekg-1.devices.example";

  /** Whom the tokens of each client are for. A client that is missing here gets what Spring writes by itself. */
  private static final Map<String, String> AUDIENCES = Map.of("tube-machine", TUBE, "ekg-machine", EKG, "opaque-machine", EKG);

  public static void main(String[] args) {
    SpringApplication.run(Server.class, args);
  }

  @Bean
  OAuth2TokenCustomizer<JwtEncodingContext> audience() {
    return context -> {
      var audience = AUDIENCES.get(context.getRegisteredClient().getClientId());
      if (OAuth2TokenType.ACCESS_TOKEN.equals(context.getTokenType()) && audience != null) {
        context.getClaims().audience(List.of(audience));
      }
    };
  }

  @Bean
  OAuth2TokenCustomizer<OAuth2TokenClaimsContext> opaqueAudience() {
    return context -> {
      var audience = AUDIENCES.get(context.getRegisteredClient().getClientId());
      if (audience != null) context.getClaims().audience(List.of(audience));
    };
  }

  @Bean
  RegisteredClientRepository clients() {
    return new InMemoryRegisteredClientRepository(
        client("tube-machine", OAuth2TokenFormat.SELF_CONTAINED),
        client("ekg-machine", OAuth2TokenFormat.SELF_CONTAINED),
        client("opaque-machine", OAuth2TokenFormat.REFERENCE),
        client("plain-machine", OAuth2TokenFormat.SELF_CONTAINED),
        client("latchkey-hub", OAuth2TokenFormat.SELF_CONTAINED));
  }

  private static RegisteredClient client(String id, OAuth2TokenFormat format) {
    return RegisteredClient.withId(id)
        .clientId(id)
        .clientSecret("{noop}secret-of-" + id)
        .clientAuthenticationMethod(ClientAuthenticationMethod.CLIENT_SECRET_BASIC)
        .authorizationGrantType(AuthorizationGrantType.CLIENT_CREDENTIALS)
        .scope("read")
        .tokenSettings(TokenSettings.builder().accessTokenFormat(format).build())
        .build();
  }
}
