#!/usr/bin/env node
// Nothing is imported here: an older Node would fail at what it does not know before it could say so.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    `latchkey: Node.js is too old: this is ${process.versions.node}, and Latchkey needs 20.19 or newer.\n`,
  );
  // EX_CONFIG of sysexits.h: starting it again does not help, and the unit does not.
  process.exit(78);
}
// Without a handler Node opens its debugger on a port of loopback, for every user of the machine.
process.on('SIGUSR1', () => undefined);
// Packages below trace where DEBUG tells them to, each packet with passwords and tokens. They ask once, when they load.
delete process.env.DEBUG;
const args = process.argv.slice(2);
process.exitCode = await ((await compiledHub()) ?? (await commandLine())).runProcess(args);

/** The hub itself, where it is built; undefined for another command, and where the sources are run. */
async function compiledHub() {
  if (args[0] !== 'run') return undefined;
  const { findHubScript } = await import('./cli/compiled-hub.ts');
  return findHubScript(new URL('../run/hub.cjs', import.meta.url))?.load();
}

async function commandLine() {
  const [{ runAsProcess }, { runCommandLine }] = await Promise.all([
    import('./cli/process.ts'),
    import('./cli/program.ts'),
  ]);
  return { runProcess: (given: readonly string[]) => runAsProcess((terminal) => runCommandLine(given, terminal)) };
}

export {};
