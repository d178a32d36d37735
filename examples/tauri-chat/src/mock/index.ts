/**
 * Stands in for the Rust side, so that the page runs in any browser: `npm run dev:mock`. The tables are real SQLite
 * (sql.js). Streams go on over a reload, as those of the plugin do. `?mock=` picks what is there at first:
 * empty, ready (default), broken, nomemory, slow.
 */
import { mockIPC } from '@tauri-apps/api/mocks';
import { downloadCommands } from './downloads';
import { modelCommands } from './models';
import { Refusal, type Args, type Commands } from './ipc';
import { openDatabase } from './sql';
import { streamCommands } from './streams';

export async function install(): Promise<void> {
  const sql = await openDatabase();
  const commands: Commands = {
    ...modelCommands,
    ...streamCommands,
    ...downloadCommands,
    ...sql,
    'plugin:dialog|open': () => '/home/you/Downloads/another-model.gguf',
    'plugin:opener|open_url': ({ url }) => {
      window.open(String(url), '_blank', 'noopener');
    },
  };
  mockIPC((name, args) => {
    const command = commands[name];
    if (!command) throw new Refusal('not_found', `${name} is not in the mock`);
    return command((args ?? {}) as Args);
  });
}
