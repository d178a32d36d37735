import { describe, expect, it } from 'vitest';
import { branch, newestLeaf, prompt, titleOf, versions } from '../../src/lib/tree';
import type { Message, Role } from '../../src/lib/types';

let clock = 0;
function message(id: string, parent: string | null, role: Role, text = id): Message {
  return {
    id,
    conversation: 'c',
    parent,
    role,
    text,
    reasoning: '',
    status: 'done',
    model: null,
    stream: null,
    error: null,
    stats: null,
    createdAt: ++clock,
  };
}

// q1 -> a1 -> q2 -> a2, and a1b beside a1, q1b beside q1
const q1 = message('q1', null, 'user');
const a1 = message('a1', 'q1', 'assistant');
const q2 = message('q2', 'a1', 'user');
const a2 = message('a2', 'q2', 'assistant');
const a1b = message('a1b', 'q1', 'assistant');
const q1b = message('q1b', null, 'user');
const all = [q1, a1, q2, a2, a1b, q1b];
const ids = (list: Message[]) => list.map((m) => m.id);

describe('branch', () => {
  it('goes from the first message to the head', () => {
    expect(ids(branch(all, 'a2'))).toEqual(['q1', 'a1', 'q2', 'a2']);
    expect(ids(branch(all, 'a1b'))).toEqual(['q1', 'a1b']);
  });

  it('survives a missing head, a missing parent and a ring', () => {
    expect(branch(all, null)).toEqual([]);
    expect(branch(all, 'gone')).toEqual([]);
    expect(ids(branch([message('x', 'gone', 'user')], 'x'))).toEqual(['x']);
    const ring = [message('x', 'y', 'user'), message('y', 'x', 'assistant')];
    expect(branch(ring, 'x')).toHaveLength(2);
  });
});

describe('versions', () => {
  it('are the siblings of the same role, oldest first', () => {
    expect(ids(versions(all, a1b))).toEqual(['a1', 'a1b']);
    expect(ids(versions(all, q1))).toEqual(['q1', 'q1b']);
    expect(ids(versions(all, q2))).toEqual(['q2']);
  });
});

describe('newestLeaf', () => {
  it('follows the newest child', () => {
    expect(newestLeaf(all, 'a1')).toBe('a2');
    expect(newestLeaf(all, 'q1')).toBe('a1b');
    expect(newestLeaf(all, 'q1b')).toBe('q1b');
  });

  it('ends on a ring', () => {
    const ring = [message('x', 'y', 'user'), message('y', 'x', 'assistant')];
    expect(['x', 'y']).toContain(newestLeaf(ring, 'x'));
  });
});

describe('prompt', () => {
  it('puts the system prompt first and leaves an empty one out', () => {
    expect(prompt([q1], ' Be brief. ')).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'q1' },
    ]);
    expect(prompt([q1], '  ')).toEqual([{ role: 'user', content: 'q1' }]);
  });

  it('joins questions whose answer never came', () => {
    const failed = message('f', 'q1', 'assistant', '');
    const path = [q1, failed, message('again', 'f', 'user')];
    expect(prompt(path, '')).toEqual([{ role: 'user', content: 'q1\n\nagain' }]);
  });

  it('does not change the messages', () => {
    const path = [q1, message('again', 'q1', 'user')];
    prompt(path, '');
    expect(q1.text).toBe('q1');
  });
});

describe('titleOf', () => {
  it('takes the first line and cuts at a word', () => {
    expect(titleOf('  Hello  there\nmore')).toBe('Hello there');
    expect(titleOf('')).toBe('New chat');
    const long = titleOf('word '.repeat(40));
    expect(long.endsWith('word…')).toBe(true);
    expect(long.length).toBeLessThanOrEqual(61);
    expect(titleOf('x'.repeat(100))).toBe(`${'x'.repeat(60)}…`);
  });
});
