import initSqlJs, { type Database, type SqlValue } from 'sql.js';
import wasm from 'sql.js/dist/sql-wasm.wasm?url';
import migration from '../../src-tauri/migrations/1_conversations.sql?raw';
import type { Commands } from './ipc';

const KEY = 'mock-database';

/** A database that is kept in localStorage. */
export async function openDatabase(): Promise<Commands> {
  const sql = await initSqlJs({ locateFile: () => wasm });
  const kept = localStorage.getItem(KEY);
  const db = new sql.Database(kept ? Uint8Array.from(atob(kept), (c) => c.charCodeAt(0)) : null);
  if (!kept) db.run(migration);
  return databaseCommands(db, () => keep(db));
}

/** The commands of tauri-plugin-sql over a database of sql.js. */
export function databaseCommands(db: Database, onChange: () => void): Commands {
  return {
    'plugin:sql|load': ({ db: name }) => name,
    'plugin:sql|close': () => true,
    'plugin:sql|select': ({ query, values }) => select(db, String(query), values as SqlValue[]),
    'plugin:sql|execute': ({ query, values }) => {
      db.run(numbered(String(query)), values as SqlValue[]);
      const changed = db.getRowsModified();
      onChange();
      return [changed, 0];
    },
  };
}

/** The page counts $1, $2; sql.js binds lists to ?1, ?2. */
function numbered(query: string): string {
  return query.replace(/\$(\d+)/g, '?$1');
}

function select(db: Database, query: string, values: SqlValue[]): Record<string, SqlValue>[] {
  const statement = db.prepare(numbered(query));
  try {
    statement.bind(values);
    const rows: Record<string, SqlValue>[] = [];
    while (statement.step()) rows.push(statement.getAsObject());
    return rows;
  } finally {
    statement.free();
  }
}

function keep(db: Database): void {
  const bytes = db.export();
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000)
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  localStorage.setItem(KEY, btoa(text));
}
