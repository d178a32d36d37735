import { readFileSync } from 'node:fs';
import nodeResolve from '@rollup/plugin-node-resolve';
import dts from 'rollup-plugin-dts';
import esbuild from 'rollup-plugin-esbuild';

const pkg = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
const outside = [...Object.keys(pkg.dependencies), ...Object.keys(pkg.peerDependencies ?? {})];
const external = (id) => outside.some((name) => id === name || id.startsWith(`${name}/`));

const input = { index: 'src/index.ts', react: 'src/react.ts', 'ai-sdk': 'src/ai-sdk.ts' };
const target = 'es2021';
/* The types name Symbol.asyncDispose, which an app's own "lib" may lack. */
const libs = '/// <reference lib="esnext.disposable" />';

function code(format, ending) {
  return {
    dir: 'dist',
    format,
    entryFileNames: `[name].${ending}`,
    chunkFileNames: `chunk-[name].${ending}`,
    sourcemap: true,
    hoistTransitiveImports: false,
  };
}

function types(ending) {
  return {
    input,
    external,
    plugins: [dts()],
    output: {
      dir: 'dist',
      format: 'es',
      entryFileNames: `[name].${ending}`,
      chunkFileNames: `chunk-[name].${ending}`,
      banner: libs,
    },
  };
}

export default [
  {
    input,
    external,
    treeshake: { moduleSideEffects: 'no-external' },
    plugins: [esbuild({ target })],
    output: [code('es', 'js'), code('cjs', 'cjs')],
  },
  types('d.ts'),
  types('d.cts'),
  {
    // What Tauri injects when `withGlobalTauri` is on: everything in one file, no module system.
    input: 'src/index.ts',
    plugins: [nodeResolve(), esbuild({ target, minify: true })],
    output: {
      file: '../api-iife.js',
      format: 'iife',
      name: '__TAURI_PLUGIN_INGLE__',
      banner: "if ('__TAURI__' in window) {",
      footer:
        "Object.defineProperty(window.__TAURI__, 'ingle', { value: __TAURI_PLUGIN_INGLE__ }) }",
    },
  },
];
