import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkIdentifier, checkName, names } from '../src/names.js';

const cli = fileURLToPath(new URL('../src/cli.js', import.meta.url));
const checkout = fileURLToPath(new URL('../../..', import.meta.url));
let root;
before(() => (root = mkdtempSync(join(tmpdir(), 'create-ingle-app-'))));
after(() => rmSync(root, { recursive: true, force: true }));

/** Standard input is not a terminal here, so nothing is asked. */
function create(...args) {
  return spawnSync(process.execPath, [cli, ...args], { cwd: root, encoding: 'utf8', input: '' });
}

function files(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile())
    .map((e) => join(e.parentPath ?? e.path, e.name).slice(folder.length + 1))
    .sort();
}

const SHARED = [
  '.gitignore',
  'README.md',
  'package.json',
  'src-tauri/Cargo.toml',
  'src-tauri/build.rs',
  'src-tauri/capabilities/default.json',
  'src-tauri/icons/128x128.png',
  'src-tauri/icons/128x128@2x.png',
  'src-tauri/icons/32x32.png',
  'src-tauri/icons/icon.icns',
  'src-tauri/icons/icon.ico',
  'src-tauri/icons/icon.png',
  'src-tauri/src/main.rs',
  'src-tauri/tauri.conf.json',
];
const OWN = {
  'react-ts': [
    'index.html',
    'src/App.tsx',
    'src/Chat.tsx',
    'src/main.tsx',
    'src/style.css',
    'tsconfig.json',
    'vite.config.ts',
  ],
  vanilla: ['src/index.html', 'src/main.js', 'src/style.css'],
};

for (const template of Object.keys(OWN)) {
  describe(template, () => {
    const name = `My_${template}`;
    const folder = () => join(root, name);

    before(() => {
      const result = create(name, '--template', template, '--identifier', 'org.example.mine');
      assert.equal(result.status, 0, result.stderr);
      assert.match(result.stdout, /npm install\n\s+npm run tauri dev/);
    });

    it('writes every file and no other', () => {
      assert.deepEqual(files(folder()), [...SHARED, ...OWN[template]].sort());
    });

    it('fills in every field', () => {
      for (const file of files(folder())) {
        if (/\.(png|ico|icns)$/.test(file)) continue;
        const text = readFileSync(join(folder(), file), 'utf8');
        assert.doesNotMatch(text, /\{\{[A-Z_]+\}\}/, file);
      }
    });

    it('writes JSON that can be read, with the names asked for', () => {
      const json = (file) => JSON.parse(readFileSync(join(folder(), file), 'utf8'));
      const crate = names(name).crate;
      assert.equal(json('package.json').name, crate);
      const conf = json('src-tauri/tauri.conf.json');
      assert.equal(conf.identifier, 'org.example.mine');
      assert.equal(conf.mainBinaryName, crate);
      assert.match(conf.app.security.csp, /connect-src ipc: http:\/\/ipc\.localhost/);
      for (const icon of conf.bundle.icon)
        assert.ok(existsSync(join(folder(), 'src-tauri', icon)), icon);
      assert.deepEqual(json('src-tauri/capabilities/default.json').permissions, [
        'core:default',
        'ingle:default',
        'ingle:allow-download',
      ]);
      assert.match(
        readFileSync(join(folder(), 'src-tauri/Cargo.toml'), 'utf8'),
        new RegExp(`name = "${crate}"`),
      );
    });

    it('copies the icons bit by bit', () => {
      const icon = readFileSync(join(folder(), 'src-tauri/icons/icon.png'));
      const own = readFileSync(
        new URL('../templates/shared/src-tauri/icons/icon.png', import.meta.url),
      );
      assert.ok(icon.equals(own));
    });

    it('names the registries without --local', () => {
      const cargo = readFileSync(join(folder(), 'src-tauri/Cargo.toml'), 'utf8');
      assert.match(cargo, /^tauri-plugin-ingle = "0\.1"$/m);
      assert.doesNotMatch(cargo, /path =/);
    });
  });
}

describe('the command line', () => {
  it('refuses a folder that is not empty, and changes nothing', () => {
    mkdirSync(join(root, 'full'));
    writeFileSync(join(root, 'full', 'kept.txt'), 'kept');
    const result = create('full');
    assert.equal(result.status, 1);
    assert.match(result.stderr, /not empty \(kept\.txt\)/);
    assert.deepEqual(readdirSync(join(root, 'full')), ['kept.txt']);
  });

  it('refuses a file', () => {
    writeFileSync(join(root, 'file'), '');
    assert.match(create('file').stderr, /is a file/);
  });

  it('takes an empty folder, also a new repository', () => {
    mkdirSync(join(root, 'fresh', '.git'), { recursive: true });
    assert.equal(create('fresh').status, 0);
    assert.ok(existsSync(join(root, 'fresh', 'package.json')));
  });

  it('takes a path', () => {
    assert.equal(create(join('deep', 'down', 'app-one')).status, 0);
    const conf = JSON.parse(
      readFileSync(join(root, 'deep/down/app-one/src-tauri/tauri.conf.json'), 'utf8'),
    );
    assert.equal(conf.productName, 'App One');
    assert.equal(conf.identifier, 'com.example.app-one');
  });

  for (const [args, message] of [
    [[], /name the new app/],
    [['a', 'b'], /one name, not 2/],
    [['x', '--template', 'svelte'], /no template "svelte"/],
    [['x', '--identifier', 'nodots'], /no identifier/],
    [['x', '--identifier', 'com.example.app'], /must not end in \.app/],
    [['x', '--frobnicate'], /frobnicate/],
    [['9lives'], /begin with a letter/],
    [['a;rm -rf'], /no name for an app/],
    [['test'], /taken by Rust/],
    [['x'.repeat(61)], /longer than 60/],
  ])
    it(`refuses ${JSON.stringify(args)}`, () => {
      const result = create(...args);
      assert.equal(result.status, 2);
      assert.match(result.stderr, message);
      assert.doesNotMatch(result.stderr, /\bat .*\.js:\d+/, 'a stack trace');
      assert.ok(!existsSync(join(root, 'x')));
    });

  it('refuses a --local that is no checkout', () => {
    const result = create('loc', '--local', root);
    assert.equal(result.status, 1);
    assert.match(result.stderr, /no checkout of ingle/);
    assert.ok(!existsSync(join(root, 'loc')));
  });

  it('explains itself', () => {
    assert.match(create('--help').stdout, /--template/);
    assert.match(create('--version').stdout, /^\d+\.\d+\.\d+\n$/);
  });
});

describe('names', () => {
  it('makes names for Cargo and for people', () => {
    assert.deepEqual(names('MyFirst_app'), { crate: 'my-first-app', title: 'My First App' });
    assert.deepEqual(names('some/where/chat'), { crate: 'chat', title: 'Chat' });
  });

  it('knows good from bad', () => {
    for (const name of ['app', 'my-app', 'a1_b']) assert.equal(checkName(name), null);
    for (const name of ['', '.', '..', '-a', 'ä', 'a"b', 'a\nb', 'self', 'Tauri'])
      assert.ok(checkName(name), name);
    assert.equal(checkIdentifier('com.example.my-app'), null);
    for (const id of ['com', 'com.', '.com', 'com..x', 'com.x_y', 'com.x/y'])
      assert.ok(checkIdentifier(id), id);
  });
});

describe('the package', () => {
  it('holds the templates and not the tests', () => {
    const folder = fileURLToPath(new URL('..', import.meta.url));
    const listed = JSON.parse(
      execFileSync('npm', ['pack', '--dry-run', '--json'], {
        cwd: folder,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    );
    const paths = (Array.isArray(listed) ? listed[0] : Object.values(listed)[0]).files.map(
      (f) => f.path,
    );
    for (const file of SHARED.filter((f) => f !== 'package.json' && !f.endsWith('tauri.conf.json')))
      assert.ok(
        paths.includes(`templates/shared/${file.replace('.gitignore', '_gitignore')}`),
        file,
      );
    for (const [template, own] of Object.entries(OWN))
      for (const file of own) assert.ok(paths.includes(`templates/${template}/${file}`), file);
    assert.ok(
      paths.includes('src/cli.js') && paths.includes('LICENSE') && paths.includes('README.md'),
    );
    assert.ok(!paths.some((p) => p.startsWith('test')));
    assert.ok(statSync(cli).mode & 0o100, 'the command is not executable');
  });
});

// These need the network, the package built in guest-js/dist, and Cargo: INGLE_TEST_LOCAL=1.
describe('with --local', { skip: process.env.INGLE_TEST_LOCAL !== '1' }, () => {
  for (const template of Object.keys(OWN)) {
    it(`${template} builds its page and resolves its crates`, { timeout: 600_000 }, () => {
      const name = `local-${template}`;
      const result = create(name, '--template', template, '--local', checkout);
      assert.equal(result.status, 0, result.stderr);
      const cwd = join(root, name);
      const run = (command, args, where = cwd) =>
        execFileSync(command, args, {
          cwd: where,
          encoding: 'utf8',
          stdio: 'pipe',
          maxBuffer: 1 << 28,
        });
      run('npm', ['install', '--no-audit', '--no-fund']);
      if (template === 'react-ts') {
        run('npm', ['run', 'build']);
        assert.ok(existsSync(join(cwd, 'dist/index.html')));
      } else run(process.execPath, ['--check', 'src/main.js']);
      const metadata = JSON.parse(
        run('cargo', ['metadata', '--format-version', '1'], join(cwd, 'src-tauri')),
      );
      const plugin = metadata.packages.find((p) => p.name === 'tauri-plugin-ingle');
      assert.ok(plugin.manifest_path.startsWith(join(checkout, 'bindings')));
    });
  }
});
