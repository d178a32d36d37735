#!/usr/bin/env node
import { createInterface } from 'node:readline/promises';
import { relative, resolve } from 'node:path';
import { HELP, parse, UsageError, VERSION } from './args.js';
import { checkIdentifier, checkName, names, TEMPLATES } from './names.js';
import { write } from './write.js';

async function ask(question, fallback, check) {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    for (;;) {
      const answer = (await terminal.question(`${question} (${fallback}): `)).trim() || fallback;
      const problem = check(answer);
      if (problem === null) return answer;
      console.log(`  ${problem}`);
    }
  } finally {
    terminal.close();
  }
}

/** Fills in what the command line left out: by asking where a person is there, by the defaults otherwise. */
async function complete(options) {
  const talks = process.stdin.isTTY && process.stdout.isTTY && !options.yes;
  if (options.name === undefined) {
    if (!talks) throw new UsageError('name the new app: create-ingle-app NAME');
    options.name = await ask('Name of the app', 'my-app', checkName);
  }
  const checkTemplate = (name) =>
    TEMPLATES.includes(name) ? null : `choose one of ${TEMPLATES.join(', ')}`;
  options.template ??= talks
    ? await ask(`Template: ${TEMPLATES.join(' or ')}`, TEMPLATES[0], checkTemplate)
    : TEMPLATES[0];
  const identifier = `com.example.${names(options.name).crate}`;
  options.identifier ??= talks ? await ask('Identifier', identifier, checkIdentifier) : identifier;
  return options;
}

function next(folder, options) {
  const steps = [
    `cd ${relative(process.cwd(), folder) || '.'}`,
    ...(options.local
      ? [`npm --prefix ${options.local}/bindings/tauri-plugin-ingle/guest-js ci`]
      : []),
    ...(options.local
      ? [`npm --prefix ${options.local}/bindings/tauri-plugin-ingle/guest-js run build`]
      : []),
    'npm install',
    'npm run tauri dev',
  ];
  return `\nNext:\n\n${steps.map((step) => `  ${step}`).join('\n')}\n\nRust and the system libraries of Tauri must be there: https://tauri.app/start/prerequisites/\n`;
}

async function main() {
  const options = parse(process.argv.slice(2));
  if (options.help) return console.log(HELP);
  if (options.version) return console.log(VERSION);
  await complete(options);
  const folder = resolve(options.name);
  const files = await write(folder, options);
  console.log(`${options.name}: ${files.length} files, template ${options.template}`);
  console.log(next(folder, options));
}

main().catch((error) => {
  console.error(`create-ingle-app: ${error.message}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
