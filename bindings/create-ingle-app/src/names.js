import { basename } from 'node:path';

export const TEMPLATES = ['react-ts', 'vanilla'];

/** null if `name` can be a folder and give the names of a crate and a package, otherwise what is wrong. */
export function checkName(name) {
  const last = basename(name);
  if (!last || last === '.' || last === '..') return 'the name is empty';
  if (!/^[A-Za-z][A-Za-z0-9 _-]*$/.test(last))
    return `"${last}" is no name for an app: begin with a letter, go on with letters, digits, - and _`;
  if (last.length > 60) return 'the name is longer than 60 characters';
  if (RESERVED.has(kebab(last))) return `"${last}" is taken by Rust or Cargo`;
  return null;
}

/** What Cargo refuses as the name of a package, or what would clash with the crates of the app. */
const RESERVED = new Set(
  'abstract alignof as become box break const continue crate do dyn else enum extern false final fn for if impl in let loop macro match mod move mut offsetof override priv proc pub pure ref return self sizeof static struct super test trait true type typeof unsafe unsized use virtual where while yield async await try gen core std alloc proc-macro build deps examples incremental tauri ingle serde con prn aux nul'.split(
    ' ',
  ),
);

export function checkIdentifier(identifier) {
  if (!/^[A-Za-z][A-Za-z0-9-]*(\.[A-Za-z0-9][A-Za-z0-9-]*)+$/.test(identifier))
    return `"${identifier}" is no identifier: write it like com.example.my-app`;
  if (identifier.toLowerCase().endsWith('.app'))
    return 'an identifier must not end in .app, which macOS uses for its bundles';
  return null;
}

function kebab(name) {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replace(/[ _]+/g, '-')
    .replace(/-+/g, '-')
    .replace(/-$/, '')
    .toLowerCase();
}

/** my_first app -> { crate: "my-first-app", title: "My First App" } */
export function names(name) {
  const crate = kebab(basename(name));
  const title = crate
    .split('-')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join(' ');
  return { crate, title };
}
