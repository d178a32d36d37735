import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VERSION } from './args.js';
import { names } from './names.js';

const TEMPLATES = fileURLToPath(new URL('../templates/', import.meta.url));
const BINARY = /\.(png|ico|icns)$/;

/** Writes the app and returns the paths of its files. Nothing that is there is ever written over. */
export async function write(folder, options) {
  await refuseUnlessEmpty(folder);
  if (options.local !== undefined) checkCheckout(options.local);
  const values = fill(options);
  const files = new Map();
  for (const part of ['shared', options.template])
    for (const file of await list(join(TEMPLATES, part)))
      files.set(target(relative(join(TEMPLATES, part), file)), file);
  // All is read and filled in before the first file is written.
  const written = [];
  for (const [path, file] of files) {
    const bytes = await readFile(file);
    written.push([path, BINARY.test(file) ? bytes : insert(bytes.toString('utf8'), values, path)]);
  }
  for (const [path, content] of written) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content, { flag: 'wx' });
  }
  return written.map(([path]) => path).sort();
}

async function refuseUnlessEmpty(folder) {
  let entries = [];
  try {
    entries = await readdir(folder);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    if (error.code === 'ENOTDIR') throw new Error(`${folder} is a file`);
    throw error;
  }
  const rest = entries.filter((name) => name !== '.git');
  if (rest.length > 0)
    throw new Error(
      `${folder} is not empty (${rest.slice(0, 3).join(', ')}${rest.length > 3 ? ', ...' : ''})`,
    );
}

function checkCheckout(path) {
  for (const part of [
    'bindings/tauri-plugin-ingle/Cargo.toml',
    'bindings/tauri-plugin-ingle/guest-js/package.json',
  ])
    if (!existsSync(join(path, part)))
      throw new Error(`${path} is no checkout of ingle: it has no ${part}`);
}

async function list(folder) {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((e) => e.isFile())
    .map((e) => join(e.parentPath ?? e.path, e.name))
    .sort();
}

/** npm leaves .gitignore files out of a package, so they have another name there. */
function target(path) {
  return path
    .split(sep)
    .join('/')
    .replace(/(^|\/)_gitignore$/, '$1.gitignore');
}

function fill({ name, identifier, local }) {
  const { crate, title } = names(name);
  const posix = local?.split(sep).join('/');
  return {
    CRATE: crate,
    TITLE: title,
    IDENTIFIER: identifier,
    PLUGIN_CRATE: local
      ? `{ path = ${JSON.stringify(`${posix}/bindings/tauri-plugin-ingle`)} }`
      : JSON.stringify(VERSION.split('.').slice(0, 2).join('.')),
    PLUGIN_PACKAGE: local ? `file:${posix}/bindings/tauri-plugin-ingle/guest-js` : `^${VERSION}`,
  };
}

function insert(text, values, path) {
  return text.replace(/\{\{([A-Z_]+)\}\}/g, (_, key) => {
    if (!(key in values)) throw new Error(`template ${path}: unknown field ${key}`);
    return values[key];
  });
}
