/**
 * OAuth libraries of Python.
 *
 *   PYTHON SCRIPT   the interpreter that has the libraries, and what it runs
 */
import { tryLibraries } from '../oauth-libraries.ts';

const [program = '', script = ''] = process.argv.slice(2);
const names = { suite: 'python-oauth', client: 'requests_oauth2client', server: 'Authlib' };
if (!(await tryLibraries({ names, program, args: ['-B', script] }))) process.exitCode = 1;
