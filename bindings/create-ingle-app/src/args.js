import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { checkIdentifier, checkName, TEMPLATES } from './names.js';

export const VERSION = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
).version;

export const HELP = `usage: create-ingle-app [NAME] [OPTION...]

Makes a Tauri app with a chat page and a language model that runs on the user's computer.

  NAME                  folder and name of the app
  --template TEMPLATE   react-ts (React, TypeScript, Vite) or vanilla (one page, no build step)
  --identifier ID       the app's identifier, such as com.example.my-app
  --local PATH          take the crates and the package from a checkout of ingle, not from the registries
  -y, --yes             ask nothing
  -h, --help            print this
  -v, --version         print the version`;

/** A command line that cannot be obeyed; the exit status is 2. */
export class UsageError extends Error {}

function parsed(argv) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        template: { type: 'string' },
        identifier: { type: 'string' },
        local: { type: 'string' },
        yes: { type: 'boolean', short: 'y' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
      },
    });
  } catch (error) {
    throw new UsageError(`${error.message} (--help explains)`);
  }
}

export function parse(argv) {
  const { values, positionals } = parsed(argv);
  if (values.help || values.version) return values;
  if (positionals.length > 1)
    throw new UsageError(`one name, not ${positionals.length}: ${positionals.join(' ')}`);
  const [name] = positionals;
  const problem =
    (name !== undefined && checkName(name)) ||
    (values.identifier !== undefined && checkIdentifier(values.identifier)) ||
    (values.template !== undefined &&
      !TEMPLATES.includes(values.template) &&
      `no template "${values.template}": choose one of ${TEMPLATES.join(', ')}`);
  if (problem) throw new UsageError(problem);
  return { ...values, name, ...(values.local !== undefined && { local: resolve(values.local) }) };
}
