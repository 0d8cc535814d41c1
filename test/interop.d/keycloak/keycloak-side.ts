/**
 * Keycloak as the authorization server of the built hub. Starts it, imports the realm, and prints a line for each case.
 *
 *   HOME REALM   folder of the unpacked distribution, file with the realm
 */
import { generateKeyPairSync } from 'node:crypto';
import { Report } from '../report.ts';
import { Clients } from './clients.ts';
import { deliveryCases } from './delivery-cases.ts';
import { introspectionCases, keyClientCases } from './introspection-cases.ts';
import { Keycloak } from './keycloak.ts';
import { Realm } from './realm.ts';
import { rotationCases } from './rotation-cases.ts';
import { Ward, type WardOptions } from './ward.ts';

/** What is running, by how it ends. Told to stop, we end it, and whatever waits for it fails. */
const running = new Set<() => Promise<void>>();
let isStopping = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    isStopping = true;
    process.exitCode = 1;
    // Keycloak is still starting: it goes with us.
    if (running.size === 0) process.exit();
    for (const close of running) void close();
  });
}

const KEY_CLIENT = 'latchkey-hub-by-key';

interface Closable {
  /** May be called again. */
  close(): Promise<void>;
}

/** Opens something and runs with it; closes it whatever happens. */
async function using<T extends Closable>(open: () => Promise<T>, run: (it: T) => Promise<void>): Promise<void> {
  if (isStopping) throw new Error('told to stop');
  const it = await open();
  const close = () => it.close();
  running.add(close);
  try {
    if (isStopping) throw new Error('told to stop');
    await run(it);
  } finally {
    await close();
    running.delete(close);
  }
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
        issuer,
        authentication: 'client_id = "latchkey-hub"\nclient_secret_file = "secret"',
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
        issuer,
        authentication: `client_id = "${KEY_CLIENT}"\nclient_auth = "private_key_jwt"\nclient_key_file = "key.pem"`,
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
