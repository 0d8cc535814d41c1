/**
 * Keycloak as the authorization server of the built hub. Starts it, imports the realm, and prints a line for each case.
 *
 *   HOME REALM   folder of the unpacked distribution, file with the realm
 */
import { generateKeyPairSync } from 'node:crypto';
import { Report } from '../report.ts';
import { using } from '../using.ts';
import { Ward, type WardOptions } from '../ward.ts';
import { Clients } from './clients.ts';
import { deliveryCases } from './delivery-cases.ts';
import { CACHE, introspectionCases, keyClientCases } from './introspection-cases.ts';
import { Keycloak } from './keycloak.ts';
import { EKG_AUDIENCE, Realm, TUBE_AUDIENCE } from './realm.ts';
import { rotationCases } from './rotation-cases.ts';

const KEY_CLIENT = 'latchkey-hub-by-key';

function settings(issuer: string, authentication: string): string {
  return `
[[issuers]]
issuer = "${issuer}"
dialect = "keycloak"
refresh_min = "1s"
unknown_kid_cooldown = "1s"
introspection = "always"
introspection_cache = "${CACHE}s"
${authentication}
`;
}

async function main(home: string, realmFile: string): Promise<boolean> {
  const report = new Report('keycloak');
  const realm = new Realm(realmFile);
  const started = performance.now();
  await using(
    () => Keycloak.start(home),
    async (keycloak) => {
      report.note(`started after ${Math.round((performance.now() - started) / 100) / 10} s`);
      const issuer = keycloak.issuer(realm.name);
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      await keycloak.importRealm(realm.withClientKey(KEY_CLIENT, publicKey));
      const clients = new Clients(issuer, realm);
      const bySecret: WardOptions = {
        issuers: settings(issuer, 'client_id = "latchkey-hub"\nclient_secret_file = "secret"'),
        audiences: { tube: TUBE_AUDIENCE, ekg: EKG_AUDIENCE },
        credential: { file: 'secret', content: realm.secretOf('latchkey-hub') },
      };
      await using(
        () => Ward.open(bySecret),
        async (ward) => {
          const parts = { clients, keycloak, realm: realm.name, report, ward };
          await deliveryCases(parts);
          await introspectionCases(parts);
          await rotationCases(parts);
        },
      );
      const byKey: WardOptions = {
        issuers: settings(
          issuer,
          `client_id = "${KEY_CLIENT}"\nclient_auth = "private_key_jwt"\nclient_key_file = "key.pem"`,
        ),
        audiences: { tube: TUBE_AUDIENCE, ekg: EKG_AUDIENCE },
        credential: { file: 'key.pem', content: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string },
      };
      await using(
        () => Ward.open(byKey),
        (ward) => keyClientCases({ clients, report, ward }),
      );
    },
  );
  return report.isGood;
}

const [home = '', realmFile = ''] = process.argv.slice(2);
if (!(await main(home, realmFile))) process.exitCode = 1;
