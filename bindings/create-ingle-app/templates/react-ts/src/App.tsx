import { useEffect, useState } from 'react';
import { listModels } from 'tauri-plugin-ingle-api';
import { useDownload } from 'tauri-plugin-ingle-api/react';
import { Chat } from './Chat';

/** Downloaded when no model is on this computer: `owner/repository:file`. */
const MODEL = 'bartowski/SmolLM2-135M-Instruct-GGUF:SmolLM2-135M-Instruct-Q4_K_M.gguf';

export function App() {
  const [model, setModel] = useState<string | null>(null);
  const [looked, setLooked] = useState(false);
  const [error, setError] = useState('');

  useEffect(() => {
    listModels()
      .then((models) => setModel(models.find((m) => m.complete)?.name ?? null))
      .catch((problem: Error) => setError(problem.message))
      .finally(() => setLooked(true));
  }, []);

  if (error)
    return (
      <p className="notice" role="alert">
        {error}
      </p>
    );
  if (!looked) return null;
  return model === null ? <Welcome onModel={setModel} /> : <Chat model={model} />;
}

function Welcome({ onModel }: { onModel: (name: string) => void }) {
  const download = useDownload(MODEL, { onDone: (stored) => onModel(stored.name) });
  const { status, progress, fraction, speed, error } = download;
  const mega = (bytes: number) => (bytes / 1e6).toFixed(0);
  return (
    <main className="welcome">
      <h1>{{TITLE}}</h1>
      <p>The language model runs on this computer. To begin, one must be downloaded (105 MB).</p>
      {status === 'running' ? (
        <>
          <progress {...(fraction !== null && { value: fraction })} aria-label="Download" />
          <p>
            {progress
              ? `${mega(progress.bytesDone)} MB at ${mega(speed)} MB/s`
              : 'Asking the server…'}
          </p>
          <button onClick={() => void download.cancel()}>Stop</button>
        </>
      ) : (
        <button className="primary" onClick={() => void download.start()}>
          {status === 'paused' ? 'Go on' : 'Download'}
        </button>
      )}
      {error && (
        <p className="notice" role="alert">
          {error.message} {error.hint}
        </p>
      )}
    </main>
  );
}
