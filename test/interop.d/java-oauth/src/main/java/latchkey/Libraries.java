package latchkey;

import com.nimbusds.jose.util.JSONObjectUtils;
import java.util.Map;
import org.springframework.security.oauth2.server.resource.introspection.BadOpaqueTokenException;
import org.springframework.security.oauth2.server.resource.introspection.OAuth2IntrospectionException;
import org.springframework.security.oauth2.server.resource.introspection.SpringOpaqueTokenIntrospector;

/** OAuth libraries of Java, as they come. A command on the command line, and one JSON line as the answer. */
public class Libraries {
  public static void main(String[] args) throws Exception {
    var answer = switch (args[0]) {
      case "deliver" -> Map.<String, Object>of("status", Presented.by(args).answer().getStatusCode());
      case "read" -> DeviceReader.read(Presented.by(args), args[5], args[6], args[7].equals("own"));
      default -> protect(args);
    };
    System.out.println(JSONObjectUtils.toJSONString(answer));
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
