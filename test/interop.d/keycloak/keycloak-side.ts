/**
 * Keycloak as the authorization server of the built hub. Starts it, imports the realm, and prints a line for each case.
 *
 *   HOME REALM   folder of the unpacked distribution, file with the realm
 */
import { generateKeyPairSync } from 'node:crypto';
import { Clients } from './clients.ts';
import { deliveryCases } from './delivery-cases.ts';
import { introspectionCases, keyClientCases } from './introspection-cases.ts';
import { Keycloak } from './keycloak.ts';
import { Realm } from './realm.ts';
import { Report } from './report.ts';
import { rotationCases } from './rotation-cases.ts';
import { Ward, type WardOptions } from './ward.ts';

/** What is running, by how it ends. Told to stop, we end it all, and what is only starting ends with us. */
const running = new Set<() => Promise<void>>();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    void Promise.allSettled([...running].map((close) => close())).then(() => process.exit(1));
  });
}

const KEY_CLIENT = 'latchkey-hub-by-key';

/** Runs with something that has to be closed, whatever happens. */
async function using<T extends { close(): Promise<void> }>(it: T, run: (it: T) => Promise<void>): Promise<void> {
  const close = () => it.close();
  running.add(close);
  try {
    await run(it);
  } finally {
    running.delete(close);
    await close();
  }
}

async function main(home: string, realmFile: string): Promise<boolean> {
  const report = new Report('keycloak');
  const realm = new Realm(realmFile);
  const started = performance.now();
  const keycloak = await Keycloak.start(home);
  report.note(`started after ${Math.round((performance.now() - started) / 100) / 10} s`);
  await using(keycloak, async () => {
    const issuer = keycloak.issuer(realm.name);
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await keycloak.importRealm(realm.withClientKey(KEY_CLIENT, publicKey));
    const clients = new Clients(issuer, realm);
    const bySecret: WardOptions = {
      issuer,
      authentication: 'client_id = "latchkey-hub"\nclient_secret_file = "secret"',
      credential: { file: 'secret', content: realm.secretOf('latchkey-hub') },
    };
    await using(await Ward.open(bySecret), async (ward) => {
      const parts = { clients, keycloak, realm: realm.name, report, ward };
      await deliveryCases(parts);
      await introspectionCases(parts);
      await rotationCases(parts);
    });
    const byKey: WardOptions = {
      issuer,
      authentication: `client_id = "${KEY_CLIENT}"\nclient_auth = "private_key_jwt"\nclient_key_file = "key.pem"`,
      credential: { file: 'key.pem', content: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string },
    };
    await using(await Ward.open(byKey), (ward) => keyClientCases({ clients, report, ward }));
  });
  return report.isGood;
}

const [home = '', realmFile = ''] = process.argv.slice(2);
process.exitCode = (await main(home, realmFile)) ? 0 : 1;
