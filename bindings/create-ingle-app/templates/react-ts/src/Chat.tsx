import { useEffect, useRef, useState, type FormEvent } from 'react';
import { useChat, useModel } from 'tauri-plugin-ingle-api/react';

export function Chat({ model: name }: { model: string }) {
  const model = useModel(name);
  const chat = useChat({ model: name, system: 'You are a helpful assistant. Answer briefly.' });
  const [text, setText] = useState('');
  const end = useRef<HTMLDivElement>(null);

  useEffect(() => end.current?.scrollIntoView({ block: 'end' }), [chat.messages]);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!text.trim() || chat.busy) return;
    setText('');
    void chat.send(text.trim());
  };

  return (
    <main className="chat">
      <header>
        <span>{name}</span>
        <span>
          {model.status === 'loading' && 'Loading…'}
          {model.model?.device}
          {chat.tokensPerSecond !== null && ` · ${chat.tokensPerSecond.toFixed(0)} tokens/s`}
        </span>
      </header>
      <div className="messages">
        {chat.messages.map((message) => (
          <article key={message.id} className={message.role}>
            {message.reasoning && (
              <details>
                <summary>Thoughts</summary>
                {message.reasoning}
              </details>
            )}
            {message.content}
            {message.error && (
              <p className="notice" role="alert">
                {message.error.message} {message.error.hint}
              </p>
            )}
          </article>
        ))}
        {model.error && (
          <p className="notice" role="alert">
            {model.error.message} {model.error.hint}
          </p>
        )}
        <div ref={end} />
      </div>
      <form onSubmit={submit}>
        <input
          autoFocus
          aria-label="Message"
          placeholder="Ask something"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        {chat.busy ? (
          <button type="button" onClick={() => void chat.stop()}>
            Stop
          </button>
        ) : (
          <button className="primary" disabled={!text.trim()}>
            Send
          </button>
        )}
      </form>
    </main>
  );
}
