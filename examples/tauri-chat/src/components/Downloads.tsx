import { useState } from 'react';
import { CATALOG, checkSource, type CatalogEntry } from '../lib/catalog';
import { describe, download, downloads, forget, pause, type Download } from '../lib/downloads';
import { bytes, percent } from '../lib/format';
import { chooseDownloaded, models } from '../lib/models';
import { useStore } from '../lib/store';
import { ErrorNotice } from './ErrorNotice';
import { Icon } from './Icon';

const begin = (source: string) => void download(source, chooseDownloaded);

/** The short list, a field for any other source, and what is being downloaded. */
export function Downloads() {
  const list = useStore(downloads, (s) => s.list);
  const stored = useStore(models, (s) => s.stored);
  const have = new Set((stored ?? []).filter((m) => m.complete).map((m) => m.source));
  const running = Object.values(list);
  const offered = CATALOG.filter(({ source }) => !(source in list) && !have.has(source));
  return (
    <div className="downloads">
      {running.map((d) => (
        <DownloadRow key={d.source} download={d} />
      ))}
      {offered.length > 0 && (
        <ul className="catalog" aria-label="Models to download">
          {offered.map((entry) => (
            <CatalogRow key={entry.source} entry={entry} />
          ))}
        </ul>
      )}
      <SourceForm />
    </div>
  );
}

function CatalogRow({ entry }: { entry: CatalogEntry }) {
  return (
    <li className="card">
      <div className="grow">
        <strong>{entry.name}</strong>
        <p>{entry.about}</p>
        <p className="hint">
          {bytes(entry.bytes)} to download, about {(entry.memory / 1e9).toFixed(1)} GB of memory
        </p>
      </div>
      <button
        type="button"
        data-testid="download-start"
        data-source={entry.source}
        aria-label={`Download ${entry.name}`}
        onClick={() => begin(entry.source)}
      >
        <Icon name="download" />
        Download
      </button>
    </li>
  );
}

function DownloadRow({ download: d }: { download: Download }) {
  const p = d.progress;
  const total = p?.bytesTotal ?? null;
  const name = CATALOG.find((e) => e.source === d.source)?.name ?? d.source;
  return (
    <div className="card download" data-testid="download" data-state={d.state}>
      <div className="grow">
        <strong>{name}</strong>
        <progress
          data-testid="download-progress"
          aria-label={`Download of ${name}`}
          {...(p && total !== null && { value: percent(p.bytesDone, total), max: 100 })}
        />
        <p className="hint numbers" data-testid="download-numbers">
          {describe(d)}
        </p>
        {d.error && (
          <ErrorNotice
            failure={d.error}
            title="The download stopped"
            onRetry={() => begin(d.source)}
          />
        )}
      </div>
      {d.state === 'running' ? (
        <button type="button" data-testid="download-cancel" onClick={() => void pause(d.source)}>
          <Icon name="pause" />
          Stop
        </button>
      ) : (
        <div className="stack">
          {d.state === 'paused' && (
            <button
              type="button"
              className="primary"
              data-testid="download-resume"
              onClick={() => begin(d.source)}
            >
              Resume
            </button>
          )}
          <button type="button" data-testid="download-forget" onClick={() => forget(d.source)}>
            Close
          </button>
        </div>
      )}
    </div>
  );
}

function SourceForm() {
  const [source, setSource] = useState('');
  const [wrong, setWrong] = useState<string | null>(null);
  return (
    <form
      className="source"
      onSubmit={(event) => {
        event.preventDefault();
        const problem = checkSource(source);
        setWrong(problem);
        if (problem !== null) return;
        begin(source.trim());
        setSource('');
      }}
    >
      <label htmlFor="source">Another model from Hugging Face, or an address</label>
      <div className="row">
        <input
          id="source"
          className="grow"
          data-testid="download-source"
          placeholder="owner/repository:file"
          spellCheck={false}
          autoComplete="off"
          value={source}
          aria-invalid={wrong !== null}
          aria-describedby={wrong === null ? undefined : 'source-wrong'}
          onChange={(event) => {
            setSource(event.target.value);
            setWrong(null);
          }}
        />
        <button type="submit" data-testid="download-source-start">
          Download
        </button>
      </div>
      {wrong !== null && (
        <p id="source-wrong" className="wrong" role="alert">
          {wrong}
        </p>
      )}
    </form>
  );
}
