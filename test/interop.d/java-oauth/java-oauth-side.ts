/**
 * OAuth libraries of Java.
 *
 *   CLASSPATH   our program and the libraries
 */
import { tryLibraries } from '../oauth-libraries.ts';

const [classpath = ''] = process.argv.slice(2);
const names = { suite: 'java-oauth', client: 'nimbus', server: 'Spring Security' };
const args = ['-XX:TieredStopAtLevel=1', '-Xmx128m', '-cp', classpath, 'latchkey.Libraries'];
if (!(await tryLibraries({ names, program: 'java', args }))) process.exitCode = 1;
