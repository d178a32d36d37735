-- A conversation is a tree: an edited question or a regenerated answer is a sibling of the first one.
-- `head` names the message at the end of the branch that is shown.
CREATE TABLE conversations (
  id TEXT PRIMARY KEY,
  title TEXT NOT NULL,
  named INTEGER NOT NULL DEFAULT 0,
  head TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);

CREATE TABLE messages (
  id TEXT PRIMARY KEY,
  conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  parent TEXT,
  role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
  text TEXT NOT NULL,
  reasoning TEXT NOT NULL DEFAULT '',
  status TEXT NOT NULL CHECK (status IN ('done', 'running', 'stopped', 'length', 'interrupted', 'error')),
  model TEXT,
  stream TEXT,
  error TEXT,
  stats TEXT,
  created_at INTEGER NOT NULL
);

CREATE INDEX messages_conversation ON messages (conversation, created_at);
CREATE INDEX conversations_updated ON conversations (updated_at DESC);
