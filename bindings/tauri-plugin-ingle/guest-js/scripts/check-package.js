// Holds the built package against what it promises: run by `npm run check` after the build.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { runInNewContext } from 'node:vm';

const root = new URL('../', import.meta.url);
const read = (path) => readFileSync(new URL(path, root), 'utf8');
const pkg = JSON.parse(read('package.json'));
const problems = [];
const demand = (holds, problem) => {
  if (!holds) problems.push(problem);
};
const npx = (...args) =>
  execFileSync('npx', ['--no-install', ...args], { cwd: root, encoding: 'utf8' });

function checkFiles() {
  const packed = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: root,
      encoding: 'utf8',
    }),
  );
  // npm 12 names packages by key, older ones list them.
  const [{ files }] = Array.isArray(packed) ? packed : Object.values(packed);
  const paths = files.map((file) => file.path);
  for (const path of paths)
    demand(
      /^(dist\/.+|README\.md|LICENSE|package\.json)$/.test(path),
      `${path} does not belong into the package`,
    );
  for (const wanted of ['README.md', 'LICENSE', 'dist/index.js', 'dist/react.cjs'])
    demand(paths.includes(wanted), `${wanted} is not in the package`);
}

function checkDependencies() {
  demand(
    Object.keys(pkg.dependencies).join() === '@tauri-apps/api',
    'the only dependency at run time is @tauri-apps/api',
  );
  const allowed = {
    index: ['@tauri-apps/api/core'],
    react: ['react'],
    'ai-sdk': [],
  };
  for (const [entry, names] of Object.entries(allowed))
    for (const file of [`${entry}.js`, `${entry}.cjs`]) {
      const found = read(`dist/${file}`).matchAll(
        /(?:\bfrom|require\(|\bimport) ?['"]([^'"]+)['"]/g,
      );
      for (const [, name] of found)
        demand(names.includes(name) || name.startsWith('./chunk-'), `dist/${file} imports ${name}`);
    }
}

async function checkFormats() {
  const require = createRequire(import.meta.url);
  const esm = await import(`${pkg.name}`);
  const cjs = require(pkg.name);
  const names = Object.keys(esm).sort();
  demand(
    names.includes('chat') && names.includes('IngleError'),
    'the ES module exports too little',
  );
  demand(
    JSON.stringify(names) === JSON.stringify(Object.keys(cjs).sort()),
    'the CommonJS module exports other names than the ES module',
  );
  for (const entry of ['react', 'ai-sdk']) {
    const one = await import(`${pkg.name}/${entry}`);
    const two = require(`${pkg.name}/${entry}`);
    demand(
      JSON.stringify(Object.keys(one).sort()) === JSON.stringify(Object.keys(two).sort()),
      `${entry}: CommonJS and ES module differ`,
    );
  }
  const window = { __TAURI__: {} };
  runInNewContext(read('../api-iife.js'), { window, Symbol, Error });
  demand(
    JSON.stringify(Object.keys(window.__TAURI__.ingle ?? {}).sort()) === JSON.stringify(names),
    'window.__TAURI__.ingle holds other names than the ES module',
  );
  // A page without `withGlobalTauri` must not be disturbed.
  runInNewContext(read('../api-iife.js'), { window: {}, Symbol, Error });
}

function checkLock() {
  const lock = read('package-lock.json');
  demand(!/"resolved": "(?!file:)/.test(lock), 'package-lock.json names a registry');
}

checkFiles();
checkDependencies();
await checkFormats();
checkLock();
try {
  npx('publint', '--strict');
  npx('attw', '--pack', '.', '--no-emoji');
} catch (error) {
  problems.push(`${error.stdout ?? ''}${error.stderr ?? error.message}`);
}
for (const problem of problems) console.error(problem);
if (problems.length) process.exit(1);
console.log('the package is what it promises to be');
